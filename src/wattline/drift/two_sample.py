"""A two-sample test whose threshold comes from the reference itself, at the size of the sample in question.

The statistic is that of Kolmogorov and Smirnov, but its tables are of no use here: rows that follow each other in time
are no independent draws, rows of one unit are none either, and many columns are asked at once. So windows of the
reference, as large as the sample and the reference, are held against each other (A/A), and what only a `risk` of
them exceeds in any column is the limit:

- Time: windows of as many rows as both have, drawn from stretches of time of all units together, so that what lasts
  for a while is not taken for many draws (the moving-block bootstrap: Künsch, Annals of Statistics 17, 1989). A window
  is one stretch where the sample is short.
- Units, where the sample has other ones: as many units as both have are drawn, whole, with replacement (the cluster
  bootstrap: Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8), and the difference adds to
  that of time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, exp, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

from wattline.drift.coding import PLACES, Coded, Floats, cumulated, edges
from wattline.drift.rows import Rows

PARTS = 20
"""Stretches without a common row that the reference has at least."""
STARTS = 64
"""Stretches that windows are drawn from, evenly spread over the reference."""
LONGEST_BLOCK = 4096
"""Rows of a unit in one stretch: more would only take time."""
MOST_DRAWN = 4096
"""Things that one draw takes: with more, it differs no more from what it is drawn from."""
CONFIDENCE = 0.95
"""That no more than a `risk` of all possible windows exceed the limit, which is taken from some of them."""


@dataclass(frozen=True)
class Comparison:
    """distances, limits: (columns,) in 0..1; a column drifted where the first is above the second"""

    distances: Floats
    limits: Floats


def compare(
    reference: Rows, sample: Rows, *, splits: int, risk: float, seed: int, same_units: bool = True
) -> Comparison:
    """Hold `sample` against `reference`, which has the same columns.

    same_units: every unit of `sample` is in `reference`: each is compared with itself, and weighs as much as it does in
        the sample, so that it makes no difference who asked more often. Otherwise all rows are compared with all, and
        the limit knows how far units differ; the reference must have two of them then.
    """
    known = reference.of(list(sample.values)) if same_units else reference
    borders = edges(reference.pooled())
    before, now = Coded.of(known, borders), Coded.of(sample, borders)
    wanted = now.sizes if same_units else _usual(now, before)
    weights = (now.sizes if same_units else before.sizes).astype(np.float64)
    weights = weights / weights.sum()
    generator = np.random.default_rng(seed)
    null = _between_times(before, wanted, weights, splits, generator)
    if not same_units:
        null += _between_units(before, len(now.sizes), splits, generator)
    found = now.functions(np.full(len(now.sizes), 1 / len(sample))) - before.functions(weights / before.sizes)
    limits = _limits(np.abs(null).max(axis=2), risk=risk, smallest=1 / len(sample))
    return Comparison(np.abs(found).max(axis=1), limits)


def _usual(sample: Coded, reference: Coded) -> NDArray[np.int64]:
    """(units of the reference,) rows of a unit of the sample: half of its units have no more."""
    return np.full(len(reference.sizes), int(np.median(sample.sizes)), np.int64)


def _between_times(
    known: Coded, wanted: NDArray[np.int64], weights: Floats, splits: int, generator: np.random.Generator
) -> Floats:
    """(splits, columns, PLACES) distribution functions of a window of all units less those of another.

    One has as many rows as the sample, the other as many as the reference; both are made of stretches of time.
    wanted: (units,) rows of the sample
    weights: (units,) whose sum is 1
    """
    sizes = np.clip(np.minimum(wanted, known.sizes // PARTS), 1, LONGEST_BLOCK)
    sample, reference = (
        _drawn(STARTS, max(1, int(rows.sum() / sizes.sum())), splits, generator) for rows in (wanted, known.sizes)
    )
    spread: Floats = (sample - reference) @ _stretches(known, sizes, weights)
    return spread.reshape(splits, -1, PLACES) * _of_drawn(PARTS)


def _stretches(known: Coded, sizes: NDArray[np.int64], weights: Floats) -> Floats:
    """(STARTS, columns * PLACES) distribution functions of stretches of time of all units.

    sizes: (units,) rows of a stretch
    """
    each = np.repeat(weights / sizes, sizes)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = []
    for place in np.linspace(0, 1, STARTS):
        begin = known.starts + (place * (known.sizes - sizes)).astype(np.int64)
        found.append(cumulated(known.codes[np.repeat(begin, sizes) + within], each).ravel())
    return np.stack(found)


def _between_units(known: Coded, count: int, splits: int, generator: np.random.Generator) -> Floats:
    """(splits, columns, PLACES) distribution functions of `count` units less those of as many as the reference has."""
    units = len(known.sizes)
    drawn = [_drawn(units, many, splits, generator) for many in (count, units)]
    found = np.empty((splits, known.codes.shape[1], PLACES))
    for column in range(known.codes.shape[1]):
        counts = known.counts(column).cumsum(axis=1)
        sample, reference = ((times @ counts) / (times @ known.sizes)[:, None] for times in drawn)
        found[:, column] = sample - reference
    return found * _of_drawn(units)


def _drawn(count: int, many: int, splits: int, generator: np.random.Generator) -> Floats:
    """(splits, count) share of each of `count` things among `many` that are drawn from them with replacement."""
    size = min(many, MOST_DRAWN)
    picked = generator.integers(count, size=(splits, size)) + np.arange(splits)[:, None] * count
    shares: Floats = np.bincount(picked.ravel(), minlength=splits * count).reshape(splits, count) / size
    return shares


def _of_drawn(count: int) -> float:
    """What is drawn from `count` things spreads less than those they stand for, by this factor (ibid., section 2.3)."""
    return float(np.sqrt(count / (count - 1)))


def _limits(null: Floats, *, risk: float, smallest: float) -> Floats:
    """(columns,) such that only a share `risk` of the splits has any column above its limit.

    null: (splits, columns)
    smallest: what a single row makes a difference of
    """
    scales = np.maximum(_upper(null, risk, _above), smallest)
    limits: Floats = np.maximum(_upper((null / scales).max(axis=1), risk, _surely_above), 1.0) * scales
    return limits


def _upper(values: Floats, risk: float, above: Callable[[int, float], int]) -> Floats:
    upper: Floats = np.sort(values, axis=0)[len(values) - 1 - above(len(values), risk)]
    return upper


def _above(count: int, risk: float) -> int:
    """How many of `count` draws may be above a limit that a further one exceeds with at most the probability `risk`."""
    return count - min(count, ceil((count + 1) * (1 - risk)))


def _surely_above(count: int, risk: float) -> int:
    """The same with CONFIDENCE in that probability (Wilks 1941: a binomial tail); none where draws are too few."""
    allowed, tail = 0, 0.0
    while (tail := tail + _binomial(allowed, count, risk)) <= 1 - CONFIDENCE:
        allowed += 1
    return max(allowed - 1, 0)


def _binomial(hits: int, count: int, risk: float) -> float:
    """Probability of so many hits in `count` draws."""
    ways = lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
    return exp(ways + hits * log(risk) + (count - hits) * log1p(-risk))
