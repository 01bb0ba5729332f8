"""The output of `ipmitool sdr` and `ipmitool sdr elist`: one sensor a line."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from wattline.errors import InputError

UNITS = {
    "unspecified": "1",
    "percent": "%",
    "degrees C": "degC",
    "degrees F": "degF",
    "degrees K": "K",
    "Volts": "V",
    "Amps": "A",
    "Watts": "W",
    "Joules": "J",
    "Coulombs": "C",
    "Hz": "Hz",
    "RPM": "rpm",
    "CFM": "ft3/min",
    "microsecond": "us",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
    "revolutions": "1",
    "cycles": "1",
    "kPa": "kPa",
    "PSI": "psi",
    "Decibels": "dB",
}
"""ipmitool's names of IPMI 2.0's units (table 43-15) and what they are called here; others keep their name."""
STATUS = frozenset({"ok", "ns", "nc", "cr", "nr", "lnc", "lcr", "lnr", "unc", "ucr", "unr", "us"})
"""What ipmitool says of a sensor: ok; not critical, critical, not recoverable, low or high; ns: there is no reading."""
NO_READING = frozenset({"", "no reading", "not readable", "disabled", "not present", "na"})
NUMBER = re.compile(r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?: (?P<unit>\S.*))?")
HEX = re.compile(r"0x[0-9a-fA-F]+")
STAMP = re.compile(r"Timestamp:\s*(?P<when>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?)\s*(?P<zone>\S*)\s*")
UTC_NAMES = frozenset({"UTC", "GMT", "Z", "+00:00", "+0000"})


class Reading(NamedTuple):
    """One line.

    sensor: its name; the second one of a name in a dump is called "Name#2", as Dell's two "Temp"
    value: NaN where there is no reading, or where it is a state in words
    unit: None where there is none; "1" for a state as a hexadecimal number
    status: what ipmitool says of it
    """

    sensor: str
    value: float
    unit: str | None
    status: str


@dataclass
class Dump:
    """What one call printed.

    instant: of the line "Timestamp: ..." before it; None where there is none
    junk: lines that are no sensor, reason -> count
    """

    instant: datetime | None
    readings: list[Reading] = field(default_factory=list)
    junk: Counter[str] = field(default_factory=Counter)


def dumps(lines: Iterable[str], *, where: str) -> Iterator[Dump]:
    """Each dump of a file: they begin at lines "Timestamp: 2025-06-03 00:00:11 UTC"; without one, there is one dump.

    Raises InputError for a time that is not said to be UTC.
    """
    current: Dump | None = None
    names: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        stamp = STAMP.fullmatch(line.strip())
        if stamp or current is None:
            if current is not None:
                yield current
            current, names = Dump(_instant(stamp, f"{where}:{number}") if stamp else None), Counter()
        if not stamp:
            _take(line, current, names)
    if current is not None:
        yield current


def reading(line: str) -> Reading | None:
    """Read `Name | 45 degrees C | ok`, or `Name | 01h | ok | 7.1 | 45 degrees C`; None for what is no sensor."""
    fields = [part.strip() for part in line.split("|")]
    if len(fields) == 5:
        name, _, status, _, said = fields
    elif len(fields) == 3:
        name, said, status = fields
    else:
        return None
    if not name or status not in STATUS:
        return None
    value, unit = _value(said)
    return Reading(name, math.nan if status == "ns" else value, unit, status)


def _take(line: str, dump: Dump, names: Counter[str]) -> None:
    found = reading(line)
    if found is None:
        dump.junk["the line is no sensor"] += 1
        return
    names[found.sensor] += 1
    if names[found.sensor] > 1:
        found = found._replace(sensor=f"{found.sensor}#{names[found.sensor]}")
    dump.readings.append(found)


def _value(said: str) -> tuple[float, str | None]:
    if HEX.fullmatch(said):
        return float(int(said, 16)), "1"
    found = NUMBER.fullmatch(said)
    if said.lower() in NO_READING or found is None:
        return math.nan, None
    unit = found.group("unit") or "unspecified"
    return float(found.group("number")), UNITS.get(unit, unit)


def _instant(stamp: re.Match[str], where: str) -> datetime:
    zone = stamp.group("zone")
    if zone not in UTC_NAMES:
        raise InputError(
            f"{where}: the time {stamp.group('when')} {zone or 'without a zone'} is not said to be UTC; "
            "take dumps with `date -u`, or correct the line"
        )
    try:
        return datetime.fromisoformat(stamp.group("when")).replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"{where}: {stamp.group('when')} is no time: {error}; correct the line") from None
