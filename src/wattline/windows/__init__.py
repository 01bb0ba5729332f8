"""Irregular samples as windows: one row for each stretch of time, equal in a batch, at one instant and in a stream."""

from wattline.windows.aggregate import Statistics, Windows, aggregate, empty, of_groups
from wattline.windows.rows import LABELS, columns_of, rows_of, windowed, windowed_pieces

__all__ = [
    "LABELS",
    "Statistics",
    "Windows",
    "aggregate",
    "columns_of",
    "empty",
    "of_groups",
    "rows_of",
    "windowed",
    "windowed_pieces",
]
