"""Values as JSON has them, as numbers: what is none is not taken, and counted by reason."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WORD = "the value is no number"
NOT_FINITE = "the value is not finite"
TOO_LARGE = "the value does not fit in 32 bits"
LARGEST = float(np.finfo(np.float32).max)


class Readings(NamedTuple):
    """What became of values.

    values: one float64 for each value, NaN where it was not taken
    taken: one boolean for each value
    refused: why the others were not: reason -> count
    """

    values: NDArray[np.float64]
    taken: NDArray[np.bool_]
    refused: Counter[str]


def numbers(values: Sequence[Any]) -> Readings:
    """Floats of what JSON calls a number; words, true, null, infinities and NaN are refused."""
    if set(map(type, values)) <= {int, float}:
        found = _floats(values)
    else:
        found = _floats([value if type(value) in (int, float) else None for value in values])
    is_word = np.fromiter((type(value) not in (int, float) for value in values), dtype=np.bool_, count=len(values))
    reasons = {
        WORD: is_word,
        NOT_FINITE: ~is_word & ~np.isfinite(found),
        TOO_LARGE: np.isfinite(found) & (np.abs(found) > LARGEST),
    }
    taken = ~np.logical_or.reduce(list(reasons.values()))
    refused = Counter({reason: int(mask.sum()) for reason, mask in reasons.items() if mask.any()})
    return Readings(np.where(taken, found, np.nan), taken, refused)


def _floats(values: Sequence[int | float | None]) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        # JSON has integers without end.
        return np.array([_float(value) for value in values], dtype=np.float64)


def _float(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf
