"""Samples of a whole fleet as they come, and the rows that are complete: the same bits that `prepare` makes."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wattline import windows
from wattline.features.instants import Instants
from wattline.records import Manifest
from wattline.task import FloatArray

Chunk = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class Stream:
    """Collects samples until their rows are closed.

    manifest: of the prepared rows, whose like are to be made; units: how many there are
    late: samples that came after their row was closed, so far; they are counted and have no effect
    """

    def __init__(self, manifest: Manifest, *, units: int) -> None:
        self._axis = manifest.axis
        self._instants = Instants.of(manifest)
        self._units, self._columns = units, len(manifest.raw_columns)
        self._chunks: list[Chunk] = []
        self._waiting = 0
        self._closed: int | None = None
        self.late = 0

    @property
    def waiting(self) -> int:
        """Samples whose rows are still open."""
        return self._waiting

    def feed(self, channels: NDArray[np.int64], instants: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        """Take samples in any order.

        channels: (samples,) unit index * columns + column index
        instants: (samples,) when each was observed [ns since 1970, UTC]
        values: (samples,); NaN is no sample. They are taken as float32, as stored telemetry is
        """
        kept = ~np.isnan(values)
        if self._closed is not None:
            late = instants < self._closed + self._instants.delay
            self.late += int((late & kept).sum())
            kept &= ~late
        self._waiting += int(kept.sum())
        self._chunks.append((channels[kept], instants[kept], values[kept].astype(np.float32)))

    def close(self, until: int) -> Iterator[tuple[int, FloatArray]]:
        """Each row that is known at `until` [ns], oldest first, as (its timestamp [ns], the row of every unit).

        rows: (units, columns of a row) float32, NaN for a unit without any sample in it
        Rows before the first sample, and those in which no unit has a sample, are not given.
        """
        last = self._instants.last_known(until)
        if self._closed is not None and last <= self._closed:
            return
        self._closed = last
        channels, instants, values = self._taken(last + self._instants.delay)
        timestamps = self._instants.rows(instants)
        order = np.lexsort((instants, channels, timestamps))  # stable: of one instant, the last arrival comes last
        channels, instants, values, timestamps = channels[order], instants[order], values[order], timestamps[order]
        kept = _changes(channels, instants, after=True)
        channels, instants, values, timestamps = channels[kept], instants[kept], values[kept], timestamps[kept]
        make = self._newest if self._axis.window_seconds is None else self._windows
        edges = [*np.flatnonzero(_changes(timestamps)), len(timestamps)]
        for begin, end in pairwise(edges):
            rows = slice(begin, end)
            yield int(timestamps[begin]), make(channels[rows], instants[rows], values[rows])

    def _taken(self, edge: int) -> Chunk:
        """The samples before `edge`, which are kept no longer."""
        if not self._chunks:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing, np.zeros(0, dtype=np.float32)
        channels, instants, values = (np.concatenate(parts) for parts in zip(*self._chunks, strict=True))
        due = instants < edge
        self._chunks = [(channels[~due], instants[~due], values[~due])]
        self._waiting = len(self._chunks[0][0])
        return channels[due], instants[due], values[due]

    def _newest(
        self, channels: NDArray[np.int64], instants: NDArray[np.int64], values: NDArray[np.float32]
    ) -> FloatArray:
        """One row of all units: what each had at its newest instant; of the other columns it has nothing."""
        units = channels // self._columns
        newest = np.full(self._units, instants.min())
        np.maximum.at(newest, units, instants)
        kept = instants == newest[units]
        rows = np.full(self._units * self._columns, np.nan, dtype=np.float32)
        rows[channels[kept]] = values[kept]
        return rows.reshape(self._units, self._columns)

    def _windows(self, channels: NDArray[np.int64], _: NDArray[np.int64], values: NDArray[np.float32]) -> FloatArray:
        """One window of all units. Samples lie channel by channel, in time order."""
        starts = np.flatnonzero(_changes(channels))
        found = windows.of_groups(values.astype(np.float64), starts)
        place = channels[starts]
        table = windows.empty((self._units * self._columns, 1))
        for name in ("mean", "std", "minimum", "maximum", "samples"):
            getattr(table, name)[place, 0] = getattr(found, name)
        return windows.rows_of(table.reshaped((self._units, self._columns)), self._axis.statistics)


def _changes(*keys: NDArray[np.int64], after: bool = False) -> NDArray[np.bool_]:
    """Where a run of equal keys begins; with `after`, where one ends."""
    if not len(keys[0]):
        return np.zeros(0, dtype=bool)
    different = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.append(different, True) if after else np.append(True, different)
