"""Mean, spread, extremes and count of samples, group by group.

A figure depends on the samples of its group and on their order alone, not on what else is in the same call: so a batch,
a single unit and a fleet come to the same bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Statistics:
    """Of each group of samples.

    mean, std, minimum, maximum: (groups,) float64, in the unit of the samples; `std` is the population's (divisor n)
    samples: (groups,) int64, at least 1
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    samples: NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Of each window and column; NaN, and 0 samples, where a column has none in a window.

    mean, std, minimum, maximum: (windows, columns) float64
    samples: (windows, columns) int64
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    samples: NDArray[np.int64]

    def reshaped(self, shape: tuple[int, int]) -> "Windows":
        """The same figures, laid out as (windows, columns) = `shape`."""
        return Windows(
            self.mean.reshape(shape),
            self.std.reshape(shape),
            self.minimum.reshape(shape),
            self.maximum.reshape(shape),
            self.samples.reshape(shape),
        )


def of_groups(values: NDArray[np.float64], starts: NDArray[np.int64]) -> Statistics:
    """Statistics of consecutive groups.

    values: (samples,) without NaN; those of one group follow each other, in time order
    starts: (groups,) where each group begins, ascending, the first one at 0

    The spread is taken about the mean in a second pass, so that it is exact where the mean is large (Chan, Golub and
    LeVeque, The American Statistician 37, 1983).
    """
    samples = np.diff(np.append(starts, len(values)))
    mean = np.add.reduceat(values, starts) / samples
    deviation = values - np.repeat(mean, samples)
    np.multiply(deviation, deviation, out=deviation)
    return Statistics(
        mean=mean,
        std=np.sqrt(np.add.reduceat(deviation, starts) / samples),
        minimum=np.minimum.reduceat(values, starts),
        maximum=np.maximum.reduceat(values, starts),
        samples=samples,
    )


def aggregate(
    instants: NDArray[np.int64], values: NDArray[np.floating], *, first: int, window: int, count: int
) -> Windows:
    """Windows of one unit.

    instants: (samples,) when each row was observed [ns since 1970], ascending
    values: (samples, columns), NaN where a column has no sample
    first: begin of the first window [ns]; window k holds what was observed in [first + k * window, first + (k + 1) *
        window), so nothing that was observed at its end or later
    window: its length [ns]
    count: how many windows there are; samples outside of them are not looked at
    """
    slots = (instants - first) // window
    inside = slice(*np.searchsorted(slots, [0, count]))
    slots, values = slots[inside], values[inside]
    found = empty((count, values.shape[1]))
    every = _starts(slots)
    for column in range(values.shape[1]):
        samples = values[:, column].astype(np.float64)
        kept = ~np.isnan(samples)
        if kept.all():
            _fill(found, column, slots, samples, every)
        else:
            _fill(found, column, slots[kept], samples[kept], _starts(slots[kept]))
    return found


def empty(shape: tuple[int, int]) -> Windows:
    """Without any sample, (windows, columns) = `shape`."""
    mean, std, minimum, maximum = (np.full(shape, np.nan) for _ in range(4))
    return Windows(mean, std, minimum, maximum, samples=np.zeros(shape, dtype=np.int64))


def _starts(slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal slots begins."""
    if not len(slots):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(slots[1:] != slots[:-1]) + 1])


def _fill(
    found: Windows,
    column: int,
    slots: NDArray[np.int64],
    samples: NDArray[np.float64],
    starts: NDArray[np.int64],
) -> None:
    if not len(samples):
        return
    figures, rows = of_groups(samples, starts), slots[starts]
    found.mean[rows, column], found.std[rows, column] = figures.mean, figures.std
    found.minimum[rows, column], found.maximum[rows, column] = figures.minimum, figures.maximum
    found.samples[rows, column] = figures.samples
