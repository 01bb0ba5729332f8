"""Runs and versions in MLflow: the only place that speaks to it."""
