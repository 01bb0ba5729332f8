"""The table of all units' rows as arrays, unit after unit, and what several rules ask of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

NOTHING = -1.25
"""What stands for a value that was not recorded, where rows are compared."""


@dataclass(frozen=True)
class Rows:
    """Rows of all units.

    table: as `quality.tables.read` gives it: the rows of a unit follow each other
    names: columns of values
    """

    table: "pandas.DataFrame"
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> Floats:
        """(rows,), NaN where nothing was recorded."""
        return self.table[name].to_numpy()

    def nothing(self) -> Mask:
        return np.zeros(len(self), dtype=bool)

    @cached_property
    def instants(self) -> Whole:
        """(rows,) [ns since 1970, UTC]."""
        return self.table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64)

    @cached_property
    def starts(self) -> Whole:
        """Where each unit begins."""
        codes = self.table["unit"].cat.codes.to_numpy()
        return np.flatnonzero(np.append(True, codes[1:] != codes[:-1])) if len(codes) else np.zeros(0, dtype=np.int64)

    @property
    def sizes(self) -> Whole:
        """Rows of each unit."""
        return np.diff(np.append(self.starts, len(self)))

    @property
    def units(self) -> list[slice]:
        """Rows of each unit."""
        return [
            slice(begin, begin + size) for begin, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
        ]

    def of_units(self, offending: NDArray[np.bool_]) -> Mask:
        """(units,) as rows."""
        return np.repeat(offending, self.sizes)

    @cached_property
    def seconds(self) -> float:
        """Median distance of two rows of a unit [s]; NaN where there are none."""
        steps = self.table["step_seconds"].to_numpy()
        steps = steps[np.isfinite(steps)]
        return float(np.median(steps)) if len(steps) else float("nan")

    @cached_property
    def prints(self) -> Floats:
        """(rows,) one number for all values of a row: equal for equal rows, and practically never otherwise."""
        total = np.zeros(len(self))
        weights = np.random.default_rng(1).uniform(1, 2, len(self.names))
        for name, weight in zip(self.names, weights, strict=True):
            values = self.column(name)
            total += weight * np.where(np.isfinite(values), values, NOTHING)
        return total

    @cached_property
    def recorded(self) -> Mask:
        """(rows,) whether any value was recorded."""
        return np.asarray(self.prints != self._empty)

    @property
    def _empty(self) -> float:
        total = 0.0
        for weight in np.random.default_rng(1).uniform(1, 2, len(self.names)):
            total += weight * NOTHING
        return total

    @cached_property
    def moved(self) -> Mask:
        """(rows,) whether any value differs from the row before in the same unit."""
        moved = np.append(False, self.prints[1:] != self.prints[:-1])
        moved[self.starts] = False
        return moved

    def same(self, values: Floats) -> Mask:
        """(rows,) whether each of `values` is equal to the one before in its unit; NaN is equal to nothing."""
        same = np.append(False, values[1:] == values[:-1])
        same[self.starts] = False
        return same


def runs(same: Mask) -> tuple[Whole, Whole]:
    """First row of each run, and the one after its last; every row but the first is `same` as the one before it.

    same: (rows,), False in the first row of a unit
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    return edges[::2] - 1, edges[1::2]


def filled(begins: Whole, ends: Whole, *, rows: int) -> Mask:
    """(rows,) True from each of `begins` to before the end that belongs to it; runs do not overlap."""
    steps = np.zeros(rows + 1, dtype=np.int64)
    np.add.at(steps, begins, 1)
    np.add.at(steps, ends, -1)
    return np.asarray(np.cumsum(steps[:-1]) > 0)
