"""Rows of one unit from several pulls, merged to one row for each instant."""

from collections.abc import Sequence

import numpy as np

from wattline.task import Series


def merged(parts: Sequence[Series]) -> Series:
    """One row for each instant of any part, in time order.

    parts: rows of one unit in any order and with repetitions, an earlier pull before a later one
    Columns are merged each by itself. Of two values at one instant the later one in the order of arrival counts; NaN
    is the absence of a sample, so it takes the place of nothing. Labels likewise. Instants are those of the stored
    files, in microseconds.
    """
    last = parts[-1]
    arrived = np.concatenate([part.timestamps.astype("datetime64[us]").astype(np.int64) for part in parts])
    instants, places = np.unique(arrived, return_inverse=True)
    found = np.concatenate([part.values for part in parts])
    values = np.full((len(instants), found.shape[1]), np.nan, dtype=np.float32)
    rows, columns = np.nonzero(~np.isnan(found))
    # np.nonzero goes row by row, and of assignments to one place the last one stays.
    values[places[rows], columns] = found[rows, columns]
    labels = np.concatenate([part.target for part in parts])
    target = np.full(len(instants), np.nan)
    labelled = np.flatnonzero(~np.isnan(labels))
    target[places[labelled]] = labels[labelled]
    timestamps = instants.astype("datetime64[us]").astype("datetime64[ns]")
    return Series(last.unit, last.group, timestamps, values, target)


def is_in_order(series: Series) -> bool:
    """Whether each row is later than the one before it, also in the microseconds of the stored files."""
    return bool((np.diff(series.timestamps.astype("datetime64[us]").astype(np.int64)) > 0).all())
