"""Rules about time: gaps, instants to come, and units whose clocks differ from the others'."""

from datetime import UTC, datetime

import numpy as np
from pydantic import Field

from wattline.params import Section
from wattline.quality.telemetry.rows import Floats, Mask, Rows, Whole

UNITS_AT_ONCE = 256
"""Whose shifted copies are held in memory together."""
FAST = 1_024
"""Transforms of multiples of this are quick."""


class Gap(Section):
    """Two rows of a unit must not be more than `steps` times the usual distance apart.

    The usual distance is the median over the dataset. The row after the gap offends.
    """

    steps: float = Field(default=60, gt=1)


def gap(rows: Rows, rule: Gap) -> Mask:
    steps = rows.table["step_seconds"].to_numpy()
    return np.asarray(np.nan_to_num(steps, nan=0.0) > rule.steps * rows.seconds)


class Future(Section):
    """No row may be from the future: more than `seconds` after now, by the clock of who validates."""

    seconds: float = Field(default=60, ge=0)


def future(rows: Rows, rule: Future) -> Mask:
    now = round((datetime.now(UTC).timestamp() + rule.seconds) * 1e9)
    return np.asarray(rows.instants > now)


class Phase(Section):
    """Units must be sampled at the same instants: a clock that is off shifts them all.

    seconds: how far the circular mean of a unit's instants, within the usual distance of rows, may be from the fleet's
        [s]; half that distance is the largest shift that can be seen

    With T the usual distance and t the instants, a unit's phase is the angle of z = mean(exp(2 pi i t / T)). Units with
    |z| <= 0.5 come at any time and have none. The fleet's phase is the angle of the median of z. At least three units
    must have one.
    """

    seconds: float = Field(gt=0)


def phase(rows: Rows, rule: Phase) -> Mask:
    period = rows.seconds * 1e9
    if not period >= 1:
        return rows.nothing()
    angles = 2 * np.pi * (rows.instants % round(period)) / period
    means = [np.add.reduceat(part(angles), rows.starts) / rows.sizes for part in (np.cos, np.sin)]
    vectors = means[0] + 1j * means[1]
    steady = np.abs(vectors) > 0.5
    if steady.sum() < 3:
        return rows.nothing()
    fleet = np.median(vectors[steady].real) + 1j * np.median(vectors[steady].imag)
    shifts = np.abs(np.angle(vectors * np.conj(fleet))) / (2 * np.pi) * rows.seconds
    return rows.of_units(steady & (shifts > rule.seconds))


class Lag(Section):
    """What units of a group feel must reach them at the same time: the air of a rack, say.

    maximum_steps: how many rows a unit is shifted, at most, to look whether it then fits better
    ratio: by what the unexplained part (1 - correlation with the mean of the others) must shrink for that
    correlation: least correlation of a shifted unit that says anything

    Columns are placed at the nearest multiple of the usual distance of rows, standardised for each unit and cut at 3
    standard deviations. With c(k) the correlation of a unit, shifted by k rows, with the mean of the others in its
    group, it offends when for a k of 2 or more, forwards or backwards, c(k) >= correlation and
    1 - c(0) >= ratio (1 - c(k)). Where no unit shares its group with another, all are one group. Groups of less than
    three say nothing.
    """

    column: str
    maximum_steps: int = Field(default=240, ge=2)
    ratio: float = Field(default=2.0, gt=1)
    correlation: float = Field(default=0.85, gt=0, le=1)


def lag(rows: Rows, rule: Lag) -> Mask:
    offending = np.zeros(len(rows.starts), dtype=bool)
    if len(rows.starts) < 3 or not rows.seconds > 0:
        return rows.nothing()
    grid = standardised(on_steps(rows, rule.column))
    for units in groups(rows):
        for begin in range(0, len(units) if len(units) >= 3 else 0, UNITS_AT_ONCE):
            part = units[begin : begin + UNITS_AT_ONCE]
            others = of_others(grid, part, group=units)
            offending[part] = _shifted(grid[part], others, rule)
    return rows.of_units(offending)


def groups(rows: Rows) -> list[Whole]:
    """Places of the units of each group."""
    codes = rows.table["group"].cat.codes.to_numpy()[rows.starts]
    found = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    return found if len(found) < len(codes) else [np.arange(len(codes))]


def of_others(grid: Floats, part: Whole, *, group: Whole) -> Floats:
    """(units, steps) mean of the others of the group for each unit of a part of it, standardised."""
    known = grid != 0
    total = grid[group].sum(axis=0) - grid[part]
    count = known[group].sum(axis=0) - known[part]
    return standardised(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))


def _shifted(units: Floats, others: Floats, rule: Lag) -> Mask:
    found = correlations(units, others, most=min(rule.maximum_steps, units.shape[1] // 4))
    middle = found.shape[1] // 2
    best = np.delete(found, [middle - 1, middle, middle + 1], axis=1).max(axis=1, initial=0.0)
    better = 1 - found[:, middle] >= rule.ratio * np.maximum(1 - best, 0)
    return np.asarray((best >= rule.correlation) & better)


def on_steps(rows: Rows, column: str) -> Floats:
    """(units, steps) of a column, NaN where there is none."""
    step = max(1, round(rows.seconds * 1e9))
    # Counted from where most are: a single instant of another age must not make the grid as long as all time.
    first, last = (int(one) for one in np.percentile(rows.instants, [0.5, 99.5], method="nearest"))
    margin = (last - first) // step // 50 + 1
    length = min((last - first) // step + 2 * margin + 1, 4 * int(rows.sizes.max()) + 2 * margin)
    slots = (rows.instants - first + step // 2) // step + margin
    kept = (slots >= 0) & (slots < length)
    grid = np.full((len(rows.starts), length), np.nan)
    grid[np.repeat(np.arange(len(rows.starts)), rows.sizes)[kept], slots[kept]] = rows.column(column)[kept]
    return grid


def standardised(grid: Floats) -> Floats:
    """Each row about its mean in standard deviations, cut at 3; 0 where there is no value, or none that varies."""
    known = np.isfinite(grid)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    values = np.where(known, grid, 0.0)
    values = np.where(known, values - values.sum(axis=1, keepdims=True) / count, 0.0)
    spread = np.sqrt((values**2).sum(axis=1, keepdims=True) / count)
    return np.asarray(np.clip(np.divide(values, spread, out=np.zeros_like(values), where=spread > 0), -3, 3))


def correlations(one: Floats, other: Floats, *, most: int) -> Floats:
    """(units, 2 most + 1) of the rows of both, shifted from -most to most, over the steps that both have."""
    length = one.shape[1]
    size = -(-(length + most) // FAST) * FAST

    def crossed(left: Floats, right: Floats) -> Floats:
        product = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)), size)
        return np.concatenate([product[:, size - most :], product[:, : most + 1]], axis=1)

    pairs = crossed((one != 0).astype(np.float64), (other != 0).astype(np.float64))
    enough = pairs >= length / 4
    return np.where(enough, crossed(one, other) / np.where(enough, pairs, 1.0), 0.0)
