"""Rows in time: on a regular grid, and cut at instants."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.params import PrepareParams
from wattline.records import Dataset, UnitRows
from wattline.task import Series
from wattline.times import as_datetime64, nanoseconds

MAXIMUM_GRID_GROWTH = 20
"""A grid so many times longer than the rows means that the cadence is wrong, not that samples are missing."""

MAXIMUM_ROWS_IN_SLOT = 2
"""With more, on average, most rows would be dropped: the cadence is wrong, not the collector."""


def on_grid(series: Series, *, cadence_seconds: float, origin: np.datetime64 | None = None) -> Series:
    """Place rows at the nearest multiples of the cadence from `origin`; slots without a row hold NaN.

    origin: the instant from which all units count, so that equal timestamps mean the same step everywhere; the first
        row, where there is one unit alone
    Two rows in one slot: the later one stays. Raises InputError when the rows do not fit the cadence at all.
    """
    step = np.int64(round(cadence_seconds * 1e9))
    begin = (series.timestamps[0] if origin is None else origin).astype("datetime64[ns]").astype(np.int64)
    slots = (series.timestamps.astype(np.int64) - begin + step // 2) // step
    first = slots[0]
    length, filled = int(slots[-1] - first) + 1, len(np.unique(slots))
    if length > MAXIMUM_GRID_GROWTH * len(slots) or len(slots) > MAXIMUM_ROWS_IN_SLOT * filled:
        raise InputError(
            f"unit {series.unit}: {len(slots)} rows lie on {length} steps of {cadence_seconds:g} s; "
            "set the source's cadence_seconds to the real distance of two rows, or prepare.windows to several of them"
        )
    values = np.full((length, series.values.shape[1]), np.nan, dtype=np.float32)
    target = np.full(length, np.nan)
    values[slots - first], target[slots - first] = series.values, series.target
    timestamps = (begin + (first + np.arange(length)) * step).astype("datetime64[ns]")
    return Series(series.unit, series.group, timestamps, values, target)


def origin(dataset: Dataset) -> np.datetime64:
    """From which all units of a dataset count their steps: its first row."""
    return as_datetime64(min(unit.start for unit in dataset.units))


def boundaries(unit: UnitRows, dataset: Dataset, prepare: PrepareParams) -> NDArray[np.datetime64]:
    """First instants of validation and test, (2,) datetime64[ns].

    Without an official test part all units are cut at the same instants, so that no unit's test rows are older than
    another unit's train rows (a shared event must not be learnt from the neighbour).
    """
    if unit.test_start is not None:
        start, test = nanoseconds(unit.start), nanoseconds(unit.test_start)
    else:
        start = min(nanoseconds(other.start) for other in dataset.units)
        end = max(nanoseconds(other.end) for other in dataset.units)
        test = start + round((end - start) * (1 - prepare.test_fraction))
    validation = start + round((test - start) * (1 - prepare.validation_fraction))
    return np.array([validation, test], dtype="datetime64[ns]")


def cut(series: Series, instants: NDArray[np.datetime64], *, gap: int = 0) -> Iterator[Series]:
    """Rows before, between and from the two instants.

    gap: so many rows before each instant belong to no part. They lead the part after them as history, which is not
        judged, since its first windows begin with them
    """
    edges = [0, *np.searchsorted(series.timestamps, instants), len(series.timestamps)]
    for place, (begin, end) in enumerate(pairwise(edges)):
        history = min(gap, int(begin - edges[place - 1])) if place else 0
        last = max(begin, end - gap) if place < 2 else end
        yield series.chosen(slice(begin - history, last), history=history)
