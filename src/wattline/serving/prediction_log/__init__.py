"""Answers and feedback on their way to Parquet, without making anybody wait."""
