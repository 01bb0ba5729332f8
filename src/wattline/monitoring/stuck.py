"""Sensors that went on saying the same: found unit by unit, which a comparison of all rows together would not see."""

import numpy as np

from wattline.monitoring.rows import Rows
from wattline.task import FloatArray


def stuck(reference: Rows, sample: Rows, *, risk: float) -> dict[str, tuple[str, ...]]:
    """Column -> units whose last values in `sample` are all the same one.

    Not those where the reference has stretches half as long, or where chance explains it with more than `risk`.
    """
    found: dict[str, list[str]] = {}
    allowed = risk / max(1, len(sample.values) * len(sample.names))
    for unit, rows in sample.values.items():
        for column, name in enumerate(sample.names):
            if _is_stuck(reference.values[unit][:, column], rows[:, column], risk=allowed):
                found.setdefault(name, []).append(unit)
    return {name: tuple(units) for name, units in found.items()}


def _is_stuck(reference: FloatArray, values: FloatArray, *, risk: float) -> bool:
    known, now = reference[~np.isnan(reference)], values[~np.isnan(values)]
    if len(now) < 2 or now[-1] != now[-2] or not len(known):
        return False
    length = _lengths(now)[-1]
    most = np.unique(known, return_counts=True)[1].max() / len(known)
    return bool(length > 2 * _lengths(known).max() and most**length < risk)


def _lengths(values: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Lengths of the stretches of equal values, in order."""
    borders = np.flatnonzero(np.diff(values)) + 1
    return np.diff(np.concatenate([[0], borders, [len(values)]]))
