"""Samples of a whole fleet as they come, and the windows that are complete: the same bits that `prepare` makes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wattline import windows
from wattline.task import FloatArray

Chunk = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class Stream:
    """Collects samples until their windows are closed.

    units: how many there are; columns: raw columns of each
    window_seconds, statistics: as in the manifest of the prepared rows
    late: samples that came after their window was closed, so far; they are counted and have no effect
    """

    def __init__(self, *, units: int, columns: int, window_seconds: float, statistics: Sequence[str]) -> None:
        self._units, self._columns = units, columns
        self._window = round(window_seconds * 1e9)
        self._statistics = tuple(statistics)
        self._chunks: list[Chunk] = []
        self._closed: int | None = None
        self.late = 0

    @property
    def waiting(self) -> int:
        """Samples whose windows are still open."""
        return sum(len(instants) for _, instants, _ in self._chunks)

    def feed(self, channels: NDArray[np.int64], instants: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        """Take samples in any order.

        channels: (samples,) unit index * columns + column index
        instants: (samples,) when each was observed [ns since 1970, UTC]
        values: (samples,); NaN is no sample. They are taken as float32, as stored telemetry is
        """
        kept = ~np.isnan(values)
        if self._closed is not None:
            late = instants < self._closed
            self.late += int((late & kept).sum())
            kept &= ~late
        self._chunks.append((channels[kept], instants[kept], values[kept].astype(np.float32)))

    def close(self, until: int) -> Iterator[tuple[int, FloatArray]]:
        """Each window that ends at `until` [ns] or before, oldest first, as (its end [ns], rows).

        rows: (units, columns * statistics) float32, NaN for a unit without any sample in it
        Windows before the first sample, and those in which no unit has a sample, are not given.
        """
        edge = until // self._window * self._window
        if self._closed is not None and edge <= self._closed:
            return
        channels, instants, values = self._taken(edge)
        self._closed = edge
        ends = (instants // self._window + 1) * self._window
        order = np.lexsort((instants, channels, ends))  # stable: of one instant, the last arrival comes last
        channels, instants, values, ends = channels[order], instants[order], values[order], ends[order]
        last = _changes(channels, instants, after=True)
        channels, values, ends = channels[last], values[last], ends[last]
        edges = [*np.flatnonzero(_changes(ends)), len(ends)]
        for begin, end in pairwise(edges):
            rows = slice(begin, end)
            yield int(ends[begin]), self._rows(channels[rows], values[rows].astype(np.float64))

    def _taken(self, edge: int) -> Chunk:
        """The samples before `edge`, which are kept no longer."""
        if not self._chunks:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing, np.zeros(0, dtype=np.float32)
        channels, instants, values = (np.concatenate(parts) for parts in zip(*self._chunks, strict=True))
        due = instants < edge
        self._chunks = [(channels[~due], instants[~due], values[~due])]
        return channels[due], instants[due], values[due]

    def _rows(self, channels: NDArray[np.int64], values: NDArray[np.float64]) -> FloatArray:
        """One window of all units. Samples lie channel by channel, in time order."""
        starts = np.flatnonzero(_changes(channels))
        found = windows.of_groups(values, starts)
        place = channels[starts]
        table = windows.empty((self._units * self._columns, 1))
        for name in ("mean", "std", "minimum", "maximum", "samples"):
            getattr(table, name)[place, 0] = getattr(found, name)
        return windows.rows_of(table.reshaped((self._units, self._columns)), self._statistics)


def _changes(*keys: NDArray[np.int64], after: bool = False) -> NDArray[np.bool_]:
    """Where a run of equal keys begins; with `after`, where one ends."""
    if not len(keys[0]):
        return np.zeros(0, dtype=bool)
    different = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.append(different, True) if after else np.append(True, different)
