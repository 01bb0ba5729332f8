"""A two-sample test whose threshold comes from the reference itself, at the size of the sample in question.

The statistic is that of Kolmogorov and Smirnov, but its tables are of no use here: rows that follow each other in time
are no independent draws, and many columns are asked at once. So parts of the reference that look like the sample (as
many rows, in one stretch of time, of the same units) are held against its rest, and what only a `risk` of them exceeds
in any column is the limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from wattline.monitoring.rows import Rows
from wattline.task import FloatArray

QUANTILES = 64
"""Values of the reference at which distribution functions are compared."""
LONGEST_BLOCK = 4096
"""Rows of a unit in one part of the reference: more would only take time, fewer than the sample has err on its side."""

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Comparison:
    """distances, limits: (columns,) in 0..1; a column drifted where the first is above the second"""

    distances: Floats
    limits: Floats


def compare(reference: Rows, sample: Rows, *, splits: int, risk: float, seed: int) -> Comparison:
    """Hold `sample` against `reference`. Both have the same columns, and every unit of `sample` is in `reference`.

    Units weigh as much as they do in the sample, so that it makes no difference who asked more often.
    """
    edges = _edges(reference.pooled())
    known = {unit: _codes(reference.values[unit], edges) for unit in sample.values}
    weights = {unit: len(rows) / len(sample) for unit, rows in sample.values.items()}
    totals = {unit: _counts(codes) for unit, codes in known.items()}
    found = {unit: _counts(_codes(rows, edges)) for unit, rows in sample.values.items()}
    sizes = {unit: _block(len(sample.values[unit]), len(known[unit]), risk) for unit in known}
    null = np.stack([
        _distances(*_split(known, totals, sizes, where), weights)
        for where in np.random.default_rng(seed).random(splits)
    ])  # fmt: skip
    return Comparison(_distances(found, totals, weights), _limits(null, risk=risk, smallest=1 / len(sample)))


def _block(wanted: int, rows: int, risk: float) -> int:
    """Rows of a part of the reference: so that it has 1 / risk parts that do not overlap."""
    return max(1, min(wanted, int(rows * risk), LONGEST_BLOCK))


def _edges(values: FloatArray) -> list[FloatArray]:
    """Different values of each column, evenly spread over its rows."""
    levels = np.linspace(0, 1, QUANTILES + 1)
    found = []
    for column in values.T:
        finite = column[np.isfinite(column)]
        found.append(np.unique(np.quantile(finite, levels, method="nearest")) if len(finite) else finite)
    return found


def _codes(values: FloatArray, edges: Sequence[FloatArray]) -> Codes:
    """Place of each value between the edges, or on one of them; 0 for a missing one."""
    codes = np.zeros(values.shape, np.intp)
    for column, known in enumerate(edges):
        mine = values[:, column]
        place = 1 + np.searchsorted(known, mine, "left") + np.searchsorted(known, mine, "right")
        codes[:, column] = np.where(np.isnan(mine), 0, place)
    return codes


def _counts(codes: Codes) -> Floats:
    """(columns, places) how many values are there."""
    columns, places = codes.shape[1], 2 * (QUANTILES + 1) + 2
    flat = (codes + np.arange(columns) * places).ravel()
    return np.bincount(flat, minlength=columns * places).reshape(columns, places).astype(np.float64)


def _split(
    known: Mapping[str, Codes], totals: Mapping[str, Floats], sizes: Mapping[str, int], where: float
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """One stretch of time of all units, and the rest. where: of the stretch in the reference, 0..1"""
    part = {}
    for unit, codes in known.items():
        start = int(where * (len(codes) - sizes[unit] + 1))
        part[unit] = _counts(codes[start : start + sizes[unit]])
    return part, {unit: totals[unit] - counts for unit, counts in part.items()}


def _distances(left: Mapping[str, Floats], right: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """(columns,) largest difference of the weighted distribution functions."""
    difference = sum(weight * (_function(left[unit]) - _function(right[unit])) for unit, weight in weights.items())
    distances: Floats = np.abs(difference).max(axis=1)
    return distances


def _function(counts: Floats) -> Floats:
    cumulated = counts.cumsum(axis=1)
    function: Floats = cumulated / np.maximum(cumulated[:, -1:], 1)
    return function


def _limits(null: Floats, *, risk: float, smallest: float) -> Floats:
    """(columns,) such that only a share `risk` of the splits has any column above its limit.

    null: (splits, columns)
    smallest: what a single row makes a difference of
    """
    scales = np.maximum(_upper(null, risk), smallest)
    limits: Floats = np.maximum(_upper((null / scales).max(axis=1), risk), 1.0) * scales
    return limits


def _upper(values: Floats, risk: float) -> Floats:
    """The value that a further one exceeds with a probability of at most `risk`, were it drawn like these."""
    place = min(len(values), ceil((len(values) + 1) * (1 - risk))) - 1
    upper: Floats = np.sort(values, axis=0)[place]
    return upper
