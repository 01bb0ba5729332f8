"""Windows as rows: which columns they have, and when each one is known."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.records import Column
from wattline.task import FloatArray, Series
from wattline.windows.aggregate import Windows, aggregate

LABELS = ("avg", "std", "min", "max", "count")
"""What a window can say of a column, and how its column is called: `power` becomes `power_avg`."""
FIELDS = {"avg": "mean", "std": "std", "min": "minimum", "max": "maximum", "count": "samples"}
MAXIMUM_WINDOWS_PER_ROW = 20
"""With more, on average, the window is shorter than the distance of samples: nearly all of them would be empty."""


def columns_of(columns: Sequence[Column], statistics: Sequence[str]) -> tuple[Column, ...]:
    """The columns of windows, column by column in the order of `statistics`."""
    return tuple(
        Column(
            name=f"{column.name}_{label}",
            unit="1" if label == "count" else column.unit,
            description=f"{label} of a window; {column.description}" if column.description else f"{label} of a window",
        )
        for column in columns
        for label in statistics
    )


def rows_of(windows: Windows, statistics: Sequence[str]) -> FloatArray:
    """(windows, columns * statistics) float32. A window without any sample is a row that was never recorded: NaN."""
    parts = np.stack([getattr(windows, FIELDS[label]) for label in statistics], axis=2).astype(np.float32)
    parts[windows.samples.sum(axis=1) == 0] = np.nan
    return parts.reshape(len(parts), -1)


def windowed(series: Series, *, seconds: float, statistics: Sequence[str]) -> Series:
    """Rows of one unit as windows whose edges are multiples of their length since 1970, the same for every unit.

    A row's timestamp is the END of its window: by then all of it is known, and nothing of what comes after. Its target
    is the largest one of the window, NaN where none is known.
    Raises InputError when windows are so short that they would be empty.
    """
    window = round(seconds * 1e9)
    instants = series.timestamps.astype(np.int64)
    first = int(instants[0]) // window * window
    count = int((instants[-1] - first) // window) + 1
    if count > MAXIMUM_WINDOWS_PER_ROW * len(instants):
        raise InputError(
            f"unit {series.unit}: {len(instants)} rows lie in {count} windows of {seconds:g} s; raise "
            "prepare.windows.seconds to several times the distance of two samples"
        )
    found = aggregate(instants, series.values, first=first, window=window, count=count)
    ends = (first + (np.arange(count, dtype=np.int64) + 1) * window).astype("datetime64[ns]")
    target = _targets(instants, series.target, first=first, window=window, count=count)
    return Series(series.unit, series.group, ends, rows_of(found, statistics), target)


def _targets(
    instants: NDArray[np.int64], target: NDArray[np.float64], *, first: int, window: int, count: int
) -> NDArray[np.float64]:
    return aggregate(instants, target[:, None], first=first, window=window, count=count).maximum[:, 0]
