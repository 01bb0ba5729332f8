"""Notebooks that run without a person: notebooks/*.ipynb, what their cells call, and what is kept of a run."""
