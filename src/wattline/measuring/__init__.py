"""Measuring: contenders at work in processes of their own, and what that costs."""
