"""A source for tests: samples of a JSON file in the order of their arrival, some of them late, double or wrong."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from wattline.errors import InputError
from wattline.records import Column
from wattline.sources import NoSamplesError, Source, UnitSeries
from wattline.sources.channels import joined
from wattline.sources.span import SpanOptions

NAME = "telemetry"
CADENCE_SECONDS = 600.0


class Options(SpanOptions):
    """file: {unit: {column: [[seconds since 1970, value], ...]}}. down_at: instant from which on it does not answer."""

    file: str
    column_units: Mapping[str, str] = Field(default_factory=lambda: {"power": "W", "load": "1"})
    licence: str = "CC0-1.0"
    down_at: datetime | None = None
    fails_late: bool = False


def open(options: Options, *, seed: int) -> Source:  # noqa: A001
    span = options.span(datetime.now(UTC))
    samples = json.loads(Path(options.file).read_text())
    units = list(_units(samples, options, *(round(moment.timestamp() * 1e9) for moment in span)))
    if not units:
        raise NoSamplesError(f"no sample from {span.start} to {span.end}")
    if options.down_at and span.end > options.down_at:
        if not options.fails_late:
            raise InputError("http://telemetry:8083 does not answer; is it up?")
        units.append(None)
    return Source(
        name=NAME,
        home="local",
        licence=options.licence,
        citation="a test",
        cadence_seconds=CADENCE_SECONDS,
        columns=tuple(Column(name=name, unit=unit) for name, unit in options.column_units.items()),
        labelled=False,
        units=_one_by_one(units),
    )


def _one_by_one(units: list[UnitSeries | None]) -> Iterator[UnitSeries]:
    for unit in units:
        if unit is None:
            raise InputError("http://telemetry:8083 broke off in the middle of its answer")
        yield unit


def _units(samples: dict[str, Any], options: Options, start: int, end: int) -> Iterator[UnitSeries]:
    for unit, columns in samples.items():
        channels = {}
        for name, pairs in columns.items():
            if name in options.column_units:
                instants = np.array([round(at * 1e9) for at, _ in pairs], dtype=np.int64)
                values = np.array([value for _, value in pairs], dtype=np.float64)
                inside = (instants >= start) & (instants < end)
                channels[name] = (instants[inside], values[inside])
        found = joined(unit, "rack-1", tuple(options.column_units), channels)
        if found is not None:
            yield UnitSeries(found.series, found.columns, quarantined={"in the future": 1})
