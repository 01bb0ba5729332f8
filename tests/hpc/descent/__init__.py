"""A task that a test can hold at any step."""
