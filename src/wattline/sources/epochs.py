"""Numbers that count from 1970, as instants: one that cannot be true is not taken, and counted by reason."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError

EARLIEST_SECONDS = 946_684_800
"""2000-01-01: what is before it comes from a clock that was never set."""
AHEAD_SECONDS = 60.0
"""By how much a clock may be ahead of ours."""

BEFORE = "before 2000"
AHEAD = "in the future"
NOT_FINITE = "the instant is not finite"
WRONG_UNIT = {"s": "milliseconds where seconds belong", "ms": "seconds where milliseconds belong"}
NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000}


class Instants(NamedTuple):
    """What became of numbers.

    instants: those that were taken, [ns since 1970, UTC], in the order of arrival
    taken: which of the numbers these are, one boolean for each number
    refused: why the others were not: reason -> count
    """

    instants: NDArray[np.int64]
    taken: NDArray[np.bool_]
    refused: dict[str, int]


def nanoseconds(values: Sequence[Any] | NDArray[Any], *, unit: Literal["s", "ms"], where: str, now: float) -> Instants:
    """Instants of numbers that count `unit` since 1970.

    Whole numbers stay exact to the nanosecond; of floating-point seconds the microsecond is kept, which is what their
    53 bits are good for today.
    where: what the numbers belong to, for errors
    now: time here [s since 1970]; what is later by more than `AHEAD_SECONDS` is not taken
    Raises InputError when values are no numbers, and when all of them are of the other unit: then it is no mistake of
    one sender, and nothing would be left.
    """
    found = read(values, unit=unit, where=where, now=now)
    check_unit(found.refused, len(values), unit=unit, where=where)
    return found


def check_unit(refused: Mapping[str, int], count: int, *, unit: Literal["s", "ms"], where: str) -> None:
    """Raise InputError when all of `count` instants are of the other unit."""
    if count and refused.get(WRONG_UNIT[unit]) == count:
        raise InputError(f"{where}: all {count} instants are {WRONG_UNIT[unit]}; correct whoever wrote them")


def read(values: Sequence[Any] | NDArray[Any], *, unit: Literal["s", "ms"], where: str, now: float) -> Instants:
    """The same for one sender of several: its clock may be of the other unit, which is counted."""
    try:
        numbers = np.asarray(values)
    except ValueError:
        raise InputError(f"{where}: instants are no numbers of {unit} since 1970; correct them at their home") from None
    if not len(numbers):
        return Instants(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_), {})
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 1:
        raise InputError(f"{where}: instant {numbers[0]!r} is no number of {unit} since 1970; correct it at its home")
    reasons = _reasons(numbers, unit, now)
    taken = reasons == ""
    names, counts = np.unique(reasons[~taken], return_counts=True)
    refused = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    return Instants(_scaled(numbers[taken], unit), taken, refused)


def _reasons(numbers: NDArray[Any], unit: Literal["s", "ms"], now: float) -> NDArray[np.str_]:
    """Why each number is not taken; "" where it is."""
    seconds = numbers.astype(np.float64) * (NANOSECONDS[unit] / NANOSECONDS["s"])
    latest = now + AHEAD_SECONDS
    other = seconds / 1000 if unit == "s" else seconds * 1000
    outside = (seconds < EARLIEST_SECONDS) | (seconds > latest)
    conditions = [
        ~np.isfinite(seconds),
        outside & (other >= EARLIEST_SECONDS) & (other <= latest),
        seconds < EARLIEST_SECONDS,
        seconds > latest,
    ]
    return np.select(conditions, [NOT_FINITE, WRONG_UNIT[unit], BEFORE, AHEAD], default="")


def _scaled(numbers: NDArray[Any], unit: Literal["s", "ms"]) -> NDArray[np.int64]:
    if numbers.dtype.kind in "iu":
        return numbers.astype(np.int64) * NANOSECONDS[unit]
    microseconds = np.rint(numbers.astype(np.float64) * (NANOSECONDS[unit] // 1000))
    return microseconds.astype(np.int64) * 1000
