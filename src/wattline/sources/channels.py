"""Channels of one unit, each sampled when it pleases, as rows of one table."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wattline.sources.source import UnitSeries
from wattline.task import Series

Channel = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Instants [ns since 1970, UTC] in any order, and the values then."""


def joined(unit: str, group: str, columns: Sequence[str], channels: Mapping[str, Channel]) -> UnitSeries | None:
    """One row for each instant at which any channel has a sample, in time order; NaN where a channel has none.

    Of two samples of a channel at one instant the later in the order of arrival counts. A channel that is absent is NaN
    throughout; None when there is no sample at all. No value is computed: what is not at the same instant is not in
    the same row.
    """
    taken = {name: _latest(*channels[name]) for name in columns if name in channels}
    if not any(len(instants) for instants, _ in taken.values()):
        return None
    rows = np.unique(np.concatenate([instants for instants, _ in taken.values()]))
    values = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    for place, name in enumerate(columns):
        if name in taken:
            instants, found = taken[name]
            with np.errstate(over="ignore"):
                # What does not fit in 32 bits becomes infinite here, and the checks name it.
                values[np.searchsorted(rows, instants), place] = found
    kept = ~np.isnan(values).all(axis=1)
    rows, values = rows[kept], values[kept]
    if not len(rows):
        return None
    timestamps = rows.astype("datetime64[ns]")
    return UnitSeries(Series(unit, group, timestamps, values, np.full(len(rows), np.nan)), tuple(columns))


def _latest(instants: NDArray[np.int64], values: NDArray[np.float64]) -> Channel:
    """In time order, with the last arrival of each instant."""
    order = np.argsort(instants, kind="stable")
    instants, values = instants[order], values[order]
    last = np.append(instants[1:] != instants[:-1], True) if len(instants) else np.zeros(0, dtype=bool)
    return instants[last], values[last]
