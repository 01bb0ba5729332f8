"""Rules about time: gaps, instants to come, and units whose clocks differ from the others'."""

from datetime import UTC, datetime

import numpy as np
from pydantic import Field

from wattline.params import Section
from wattline.quality.telemetry.rows import Floats, Mask, Rows

UNITS_AT_ONCE = 256
"""Whose shifted copies are held in memory together."""


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
    """What all units feel must reach them at the same time: the air of the room, say.

    maximum_steps: how many rows a unit is shifted, at most, to look whether it then fits better
    gain: by how much the correlation with the mean of the others must rise for that

    Columns are placed at the nearest multiple of the usual distance of rows, standardised for each unit and cut at 3
    standard deviations. A unit offends when it correlates with the mean of the others at least `gain` better when
    shifted by 2 rows or more than unshifted, and at least 0.5 then. At least three units are needed.
    """

    column: str
    maximum_steps: int = Field(default=240, ge=2)
    gain: float = Field(default=0.2, gt=0)


def lag(rows: Rows, rule: Lag) -> Mask:
    if len(rows.starts) < 3 or not rows.seconds > 0:
        return rows.nothing()
    grid = standardised(on_steps(rows, rule.column))
    known = (grid != 0).astype(np.float64)
    total, count = grid.sum(axis=0), known.sum(axis=0)
    offending = []
    for begin in range(0, len(grid), UNITS_AT_ONCE):
        part = slice(begin, begin + UNITS_AT_ONCE)
        others = standardised(
            np.divide(total - grid[part], count - known[part], out=np.full_like(grid[part], np.nan),
                      where=count - known[part] > 0)
        )  # fmt: skip
        found = correlations(grid[part], others, most=min(rule.maximum_steps, grid.shape[1] // 4))
        middle = found.shape[1] // 2
        shifted = np.delete(found, [middle - 1, middle, middle + 1], axis=1).max(axis=1, initial=0)
        offending.append((shifted >= 0.5) & (shifted >= found[:, middle] + rule.gain))
    return rows.of_units(np.concatenate(offending))


def on_steps(rows: Rows, column: str) -> Floats:
    """(units, steps) of a column, NaN where there is none."""
    step = max(1, round(rows.seconds * 1e9))
    # Counted from the middle: a single instant of another age must not make the grid as long as all time.
    length = 2 * int(rows.sizes.max())
    slots = (rows.instants - int(np.median(rows.instants)) + step // 2) // step + length // 2
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
    size = 1 << (length + most).bit_length()

    def crossed(left: Floats, right: Floats) -> Floats:
        product = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)), size)
        return np.concatenate([product[:, size - most :], product[:, : most + 1]], axis=1)

    pairs = crossed((one != 0).astype(np.float64), (other != 0).astype(np.float64))
    enough = pairs >= length / 4
    return np.where(enough, crossed(one, other) / np.where(enough, pairs, 1.0), 0.0)
