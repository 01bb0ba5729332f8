"""ExaMon's MQTT payloads: `value;seconds since 1970`."""

import math
import re
from typing import NamedTuple

from wattline.errors import InputError
from wattline.sources.epochs import AHEAD, AHEAD_SECONDS, BEFORE, EARLIEST_SECONDS, WRONG_UNIT

NANOSECONDS = 1_000_000_000
MILLISECONDS = WRONG_UNIT["s"]
PAYLOAD = re.compile(rb"\s*([^;\s]{1,64})\s*;\s*(-?\d{1,16})(?:\.(\d{1,32}))?\s*")


class PayloadError(InputError):
    """A payload that is not taken. reason: the same without the payload, to be counted."""

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(f"payload {payload[:60]!r} is not taken: {reason}")
        self.reason = reason


class Sample(NamedTuple):
    """One value. instant: nanoseconds since 1970-01-01 UTC, a whole number: a float would lose the last digits."""

    value: float
    instant: int


def formatted(sample: Sample) -> bytes:
    """The payload as it is sent: the shortest digits that give the same float64, and only the decimals it needs.

    `parsed` gives back exactly `sample`. Raises InputError for a value that is not finite: nobody could tell it from
    a broken sensor.
    """
    if not math.isfinite(sample.value):
        raise InputError(f"a value of {sample.value} is not sent; leave out what could not be computed")
    if sample.instant < 0:
        raise InputError(f"instant {sample.instant} ns is before 1970; give it in nanoseconds since then")
    seconds, rest = divmod(sample.instant, NANOSECONDS)
    decimals = f"{rest:09d}".rstrip("0")
    return f"{sample.value!r};{seconds}{'.' if decimals else ''}{decimals}".encode()


def parsed(payload: bytes) -> Sample:
    """What a payload says, to the nanosecond; further decimals are cut off.

    Whether the instant can be true is for the caller to say; it may be far beyond int64. Raises PayloadError.
    """
    found = PAYLOAD.fullmatch(payload)
    if found is None:
        raise PayloadError("not `value;seconds`", payload)
    number, seconds, decimals = found.groups()
    value = _number(number, payload)
    if seconds.startswith(b"-"):
        raise PayloadError("before 1970", payload)
    return Sample(value, int(seconds) * NANOSECONDS + int((decimals or b"")[:9].ljust(9, b"0")))


def doubt(instant: int, *, now: float) -> str | None:
    """Why a sample that arrived at `now` [s since 1970] cannot have been taken at `instant` [ns]; None if it can.

    The rule of `epochs.nanoseconds`, for one sample at a time.
    """
    seconds, latest = instant / NANOSECONDS, now + AHEAD_SECONDS
    if seconds < EARLIEST_SECONDS:
        return BEFORE
    if seconds <= latest:
        return None
    return MILLISECONDS if EARLIEST_SECONDS <= seconds / 1000 <= latest else AHEAD


def _number(text: bytes, payload: bytes) -> float:
    # float() takes "1_000" as well, which is no number elsewhere.
    try:
        value = float(text.replace(b"_", b"?"))
    except ValueError:
        raise PayloadError("the value is no number", payload) from None
    if not math.isfinite(value):
        raise PayloadError("the value is not finite", payload)
    return value
