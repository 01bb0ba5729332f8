"""Rows of several units side by side, in the order of time: what is compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wattline.task import FloatArray


@dataclass(frozen=True)
class Rows:
    """Rows by unit.

    names: of the columns
    values: unit -> (rows, columns) in the order of time; NaN where a value is missing. No unit has no rows.
    """

    names: tuple[str, ...]
    values: Mapping[str, FloatArray]

    def __len__(self) -> int:
        """Rows of all units."""
        return sum(map(len, self.values.values()))

    def of(self, units: Sequence[str]) -> "Rows":
        """The rows of `units` that are there."""
        return Rows(self.names, {unit: self.values[unit] for unit in units if unit in self.values})

    def pooled(self) -> FloatArray:
        """(rows, columns) of all units."""
        if not self.values:
            return np.empty((0, len(self.names)), np.float32)
        return np.concatenate(list(self.values.values()))


def of_units(names: Sequence[str], values: Mapping[str, FloatArray]) -> Rows:
    """Rows without those in which nothing was recorded: that a row is absent says nothing of its values."""
    kept = {unit: rows[~np.isnan(rows).all(axis=1)] for unit, rows in values.items()}
    return Rows(tuple(names), {unit: rows for unit, rows in kept.items() if len(rows)})


def of_scores(scores: Mapping[str, FloatArray]) -> Rows:
    """One column, the score. One that could not be computed counts: it is a missing value."""
    return Rows(("score",), {unit: rows[:, None] for unit, rows in scores.items() if len(rows)})
