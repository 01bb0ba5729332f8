"""Rules about what values can mean: another unit of measure, effects without their cause, parts above their whole."""

import numpy as np
from pydantic import Field

from wattline.params import Section
from wattline.quality.telemetry.rows import Floats, Mask, Rows, Whole, filled

CONSISTENT = 1.4826
"""Median absolute deviation times this is the standard deviation of normal values."""
LEAST_SPREAD = 0.02
"""Of the fleet's middle: what blocks may differ by even where nearly all are equal."""
SCALE_TOLERANCE = 4.0
"""How many times a block that was scaled may be away from the fleet's middle, upwards or downwards."""
ENOUGH = 20
"""Changes without which nothing is said of a unit."""


class Measure(Section):
    """A column must be in one unit of measure everywhere: no kW among W, no degrees Fahrenheit among Celsius.

    conversions: (factor, offset) of what could have been written instead
    steps: rows of a block; a unit's rows are judged in such blocks, which must vary within themselves
    spreads: how many spreads of the fleet the mean of a block may be away from the fleet's middle

    With m the mean of a block, f the median of all of them and s their spread (1.4826 times the median absolute
    deviation from f, at least 2 % of f), a block offends for a conversion with an offset when |m - f| > spreads s and
    |(m - offset) / factor - f| <= spreads s / 3; for one without when m / (factor f) is between 1/4 and 4.
    """

    column: str
    conversions: tuple[tuple[float, float], ...] = ((0.001, 0.0), (1000.0, 0.0))
    steps: int = Field(default=60, ge=2)
    spreads: float = Field(default=6.0, gt=0)


def measure(rows: Rows, rule: Measure) -> Mask:
    starts = blocks(rows, rule.steps)
    values = rows.column(rule.column)
    means, varies = means_of(values, starts)
    known = np.isfinite(means)
    if known.sum() < 2:
        return rows.nothing()
    middle = float(np.median(means[known]))
    spread = max(CONSISTENT * float(np.median(np.abs(means[known] - middle))), LEAST_SPREAD * abs(middle))
    wrong = np.zeros(len(means), dtype=bool)
    for conversion in rule.conversions:
        wrong |= _converted(means, conversion, middle=middle, allowed=rule.spreads * spread)
    return np.repeat(wrong & varies, np.diff(np.append(starts, len(rows)))) & np.isfinite(values)


def _converted(means: Floats, conversion: tuple[float, float], *, middle: float, allowed: float) -> Mask:
    factor, offset = conversion
    if offset:
        far = np.abs(means - middle) > allowed
        return far & (np.abs((means - offset) / factor - middle) <= allowed / 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = means / (factor * middle)
    return (ratio >= 1 / SCALE_TOLERANCE) & (ratio <= SCALE_TOLERANCE)


def blocks(rows: Rows, steps: int) -> Whole:
    """Where blocks of so many rows begin; the last of a unit has up to twice as many."""
    begins = [
        begin + steps * np.arange(max(1, size // steps))
        for begin, size in zip(rows.starts.tolist(), rows.sizes.tolist(), strict=True)
    ]
    return np.concatenate(begins) if begins else np.zeros(0, dtype=np.int64)


def means_of(values: Floats, starts: Whole) -> tuple[Floats, Mask]:
    """Mean of each block, NaN where nothing is recorded, and whether its values differ."""
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.int64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    lowest = np.minimum.reduceat(np.where(known, values, np.inf), starts)
    highest = np.maximum.reduceat(np.where(known, values, -np.inf), starts)
    means = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means, highest > lowest


class Explained(Section):
    """A column must go along with what causes it in every unit: power of a socket with load.

    by: the cause
    correlation: least correlation of their changes in a unit
    steps: both are averaged over so many rows first

    Changes are differences of neighbouring means, cut at 3 standard deviations; correlation is Pearson's. Changes, and
    not values, since those of two unrelated sensors that wander slowly correlate by chance. A unit with less offends as
    a whole. Nothing is said of one with fewer than 20 changes, or in which either column changes less than a tenth as
    much (by standard deviation) as in the median unit.
    """

    column: str
    by: str
    correlation: float = Field(default=0.35, gt=-1, lt=1)
    steps: int = Field(default=5, ge=1)


def explained(rows: Rows, rule: Explained) -> Mask:
    changes = [_changes(rows, unit, rule) for unit in rows.units]
    spreads = np.array([one.std(axis=1) if one.shape[1] >= ENOUGH else np.zeros(2) for one in changes])
    if not len(spreads):
        return rows.nothing()
    least = np.median(spreads, axis=0) / 10
    offending = [
        bool((spread > least).all()) and _correlation(one / spread[:, None]) < rule.correlation
        for one, spread in zip(changes, spreads, strict=True)
    ]
    return rows.of_units(np.array(offending, dtype=bool))


def _changes(rows: Rows, unit: slice, rule: Explained) -> Floats:
    """(2, changes) of the means of both columns, of rows in which both are recorded."""
    pair = np.stack([rows.column(rule.column)[unit], rows.column(rule.by)[unit]])
    pair = pair[:, np.isfinite(pair).all(axis=0)]
    count = pair.shape[1] // rule.steps
    means: Floats = pair[:, : count * rule.steps].reshape(2, count, rule.steps).mean(axis=2)
    return np.diff(means, axis=1)


def _correlation(changes: Floats) -> float:
    return float(np.asarray(np.corrcoef(np.clip(changes, -3, 3)))[0, 1])


class Parts(Section):
    """Parts must not exceed their whole: the power of sockets and GPUs that of the node.

    whole: the column that holds the sum
    parts: columns that are parts of it, in the same unit of measure
    tolerance: by how much they may exceed it, relative to the whole
    steps: rows for which that must last to offend: a coarse or slow sensor may be behind the others

    A row offends when sum(parts) > (1 + tolerance) whole in it and in its neighbours, `steps` of them in sequence. Rows
    in which one of the columns is missing are left out.
    """

    whole: str
    parts: tuple[str, ...] = Field(min_length=1)
    tolerance: float = Field(default=0.1, ge=0)
    steps: int = Field(default=5, ge=1)


def parts(rows: Rows, rule: Parts) -> Mask:
    total = np.zeros(len(rows))
    for name in rule.parts:
        total += rows.column(name)
    above = total > (1 + rule.tolerance) * rows.column(rule.whole)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= rule.steps
    return filled(begins[long], ends[long], rows=len(rows))
