"""Notebooks that run headless: parameters in, an executed copy out, an error in a cell is an error."""
