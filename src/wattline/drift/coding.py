"""Values as places between quantiles of a reference: what distribution functions are counted from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.drift.rows import Rows
from wattline.task import FloatArray

QUANTILES = 64
"""Stretches of equal probability, at whose borders distribution functions are compared."""
PLACES = 2 * (QUANTILES + 1) + 2
"""A missing value, and each place between the borders or on one of them."""

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Coded:
    """Rows of several units, one after the other.

    codes: (rows, columns) places
    sizes: (units,) rows of each unit
    """

    codes: Codes
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Rows, edges: Sequence[FloatArray]) -> "Coded":
        sizes = np.array([len(values) for values in rows.values.values()], np.int64)
        return cls(coded(rows.pooled(), edges), sizes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(units,) place of the first row of each unit."""
        starts: NDArray[np.int64] = np.cumsum(self.sizes) - self.sizes
        return starts

    def functions(self, weights: Floats) -> Floats:
        """(columns, PLACES) distribution functions. weights: (units,) of each row of a unit"""
        return cumulated(self.codes, np.repeat(weights, self.sizes))

    def counts(self, column: int) -> Floats:
        """(units, PLACES) how many values of each unit are there."""
        units = len(self.sizes)
        flat = np.repeat(np.arange(units) * PLACES, self.sizes) + self.codes[:, column]
        return np.bincount(flat, minlength=units * PLACES).reshape(units, PLACES).astype(np.float64)


def edges(values: FloatArray) -> list[FloatArray]:
    """Different values of each column, evenly spread over its rows. values: (rows, columns)"""
    levels = np.linspace(0, 1, QUANTILES + 1)
    found = []
    for column in values.T:
        finite = np.sort(column[np.isfinite(column)])
        found.append(np.unique(finite[np.round(levels * (len(finite) - 1)).astype(int)]) if len(finite) else finite)
    return found


def coded(values: FloatArray, known: Sequence[FloatArray]) -> Codes:
    """(rows, columns) place of each value: 0 for a missing one, odd between two edges, even on one."""
    codes = np.zeros(values.shape, np.uint8)
    for column, borders in enumerate(known):
        mine = np.ascontiguousarray(values[:, column])
        below = np.searchsorted(borders, mine, "left")
        padded = np.append(borders, np.float32(np.nan))
        codes[:, column] = np.where(np.isnan(mine), 0, 1 + 2 * below + (padded[below] == mine))
    return codes


def cumulated(codes: Codes, weights: Floats) -> Floats:
    """(columns, PLACES) sums of the weights of the rows up to each place. codes: (rows, columns), weights: (rows,)"""
    counted = np.stack([np.bincount(column, weights, PLACES) for column in codes.T])
    functions: Floats = counted.cumsum(axis=1)
    return functions
