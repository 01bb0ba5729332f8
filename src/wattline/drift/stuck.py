"""Sensors that went on saying the same: found unit by unit, which a comparison of all rows together would not see."""

import numpy as np

from wattline.drift.rows import Rows
from wattline.task import FloatArray


def stuck(reference: Rows, sample: Rows, *, risk: float) -> dict[str, tuple[str, ...]]:
    """Column -> units whose last values in `sample` are all the same one.

    Not those where any unit of the reference has stretches half as long (a node that is down, a counter that is always
    full), or where chance explains it with more than `risk`. Every unit of `sample` is in `reference`.
    """
    found: dict[str, list[str]] = {}
    allowed = risk / max(1, len(sample.values) * len(sample.names))
    for column, name in enumerate(sample.names):
        usual = max((_longest(rows[:, column]) for rows in reference.values.values()), default=0)
        for unit, rows in sample.values.items():
            if _is_stuck(reference.values[unit][:, column], rows[:, column], usual=usual, risk=allowed):
                found.setdefault(name, []).append(unit)
    return {name: tuple(units) for name, units in found.items()}


def _is_stuck(reference: FloatArray, values: FloatArray, *, usual: int, risk: float) -> bool:
    known, now = reference[~np.isnan(reference)], values[~np.isnan(values)]
    if len(now) < 2 or now[-1] != now[-2] or not len(known):
        return False
    length = int(np.argmax(np.append(now[::-1] != now[-1], True)))
    if length <= 2 * usual:
        return False
    most = np.unique(known, return_counts=True)[1].max() / len(known)
    return bool(most**length < risk)


def _longest(values: FloatArray) -> int:
    """Rows of the longest stretch of equal values."""
    known = values[~np.isnan(values)]
    borders = np.flatnonzero(np.diff(known)) + 1
    return int(np.diff(np.concatenate([[0], borders, [len(known)]])).max())
