"""Readings of one node out of its dumps, which may lie in one file or in many."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from wattline.errors import InputError
from wattline.sources.channels import Channel
from wattline.sources.ipmi import sdr
from wattline.sources.ipmi.sdr import Dump

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = float(np.finfo(np.float32).max)


class Named(NamedTuple):
    """What the name of a file says. instant: None where it says none."""

    path: Path
    unit: str
    instant: datetime | None


class Found(NamedTuple):
    """channels: column -> samples; refused: reason -> count of what was not taken."""

    channels: dict[str, Channel]
    refused: Counter[str]


def named(path: Path, pattern: str, *, form: str, timezone: str | None) -> Named:
    """Read a file's name. Raises InputError when it does not match, or when its time is not one."""
    found = re.fullmatch(pattern, path.name)
    if found is None:
        raise InputError(f"{path}: the name does not match file_pattern {pattern!r}; rename it or correct params.yaml")
    text = found.groupdict().get("instant")
    return Named(path, found.group("unit"), _instant(text, form, timezone, path) if text else None)


def read(files: tuple[Named, ...], columns: Mapping[str, tuple[str, str]]) -> Found:
    """All samples of one node. columns: sensor -> (column, its unit).

    A sensor that answers in another unit than it should is counted, not converted.
    """
    times: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    refused: Counter[str] = Counter()
    for file in files:
        for dump in _dumps(file):
            refused += dump.junk
            instant = dump.instant or file.instant
            if instant is None:
                raise InputError(
                    f"{file.path}: nothing says when it was taken; write a line Timestamp: 2025-06-03 00:00:11 UTC "
                    "before each dump, or let `instant` of file_pattern find it in the name"
                )
            for column, value, reason in _wanted(dump, columns):
                if reason:
                    refused[reason] += 1
                elif np.isfinite(value):
                    times.setdefault(column, []).append(round((instant - EPOCH).total_seconds() * 1e6) * 1000)
                    values.setdefault(column, []).append(value)
    channels = {name: (np.array(times[name], dtype=np.int64), np.array(values[name])) for name in times}
    return Found(channels, refused)


def _wanted(dump: Dump, columns: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, float, str | None]]:
    for reading in dump.readings:
        if reading.sensor not in columns:
            continue
        column, unit = columns[reading.sensor]
        reason = None
        if np.isfinite(reading.value) and reading.unit != unit:
            reason = f"{reading.sensor} is in {reading.unit}, not {unit}"
        elif abs(reading.value) > LARGEST:
            reason = "the value does not fit in 32 bits"
        yield column, reading.value, reason


def _dumps(file: Named) -> Iterator[Dump]:
    try:
        with file.path.open(encoding="utf-8", errors="replace") as lines:
            yield from sdr.dumps(lines, where=str(file.path))
    except OSError as error:
        raise InputError(f"{file.path} cannot be read: {error.strerror}; look at who may read it") from None


def _instant(text: str, form: str, timezone: str | None, path: Path) -> datetime:
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007
    except ValueError:
        raise InputError(f"{path}: {text!r} in its name is no time like {form!r}; correct instant_format") from None
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    if timezone is None:
        raise InputError(f"{path}: {text!r} in its name has no time zone; set `timezone`, e.g. UTC")
    try:
        return _localized(found, ZoneInfo(timezone), path)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"timezone {timezone!r} is not known; write an IANA name like UTC or Europe/Rome") from None


def _localized(naive: datetime, zone: ZoneInfo, path: Path) -> datetime:
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first != second:
        raise InputError(f"{path}: a clock change repeats or skips {naive} in {zone.key}; name such files in UTC")
    return first
