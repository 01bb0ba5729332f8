"""Snapshots: pulled from a source page by page, merged to the truth known so far, stored once under its own digest."""
