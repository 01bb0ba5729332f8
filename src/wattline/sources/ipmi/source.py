"""Dumps of `ipmitool sdr`: a folder of text files, or one table of readings."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from wattline.errors import InputError
from wattline.params import Section
from wattline.sources import local_files
from wattline.sources.channels import joined
from wattline.sources.ipmi import files, readings
from wattline.sources.ipmi.files import Found, Named
from wattline.sources.leftovers import handed_on
from wattline.sources.metrics import CINECA, Metric, Pattern, Text, columns, group_of
from wattline.sources.source import Readers, Source, UnitSeries


def _names_a_unit(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if "unit" not in groups:
        raise ValueError("must have a group (?P<unit>...), which names the node")
    return text


class Options(Section):
    """Where the dumps are, and what becomes of their sensors.

    path: a folder of .txt files, a pattern of them, or a .parquet table of node, sensor, ts, value and unit
    metrics: sensor as ipmitool calls it ("Sys Power"; "Temp#2" is the second "Temp" of a dump) -> column and unit; a
        reading in another unit is counted and not taken
    file_pattern: regular expression of a file's name; (?P<unit>...) is the node and (?P<instant>...), where there is
        one, when it was taken
    instant_format: of that, as strptime takes it
    timezone: IANA name of the zone of times that say none, in names of files and in a table; a line Timestamp: says UTC
    group_pattern: regular expression of a node's name; its (group) names the rack
    cadence_seconds: nominal distance of two dumps [s]
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    path: Text
    metrics: Mapping[str, Metric] = Field(min_length=1)
    file_pattern: Annotated[str, AfterValidator(_names_a_unit)] = (
        r"(?P<unit>.+?)(?:[._](?P<instant>\d{8}T\d{6}Z))?\.txt"
    )
    instant_format: Text = "%Y%m%dT%H%M%S%z"
    timezone: Text | None = None
    group_pattern: Pattern | None = CINECA
    cadence_seconds: float = Field(default=60, gt=0)
    name: Text = "ipmi"
    licence: Text = "internal"
    citation: Text = "readings of our own nodes"

    def sensors(self) -> dict[str, tuple[str, str]]:
        """Sensor -> column and unit."""
        return {name: (metric.column or name, metric.unit) for name, metric in self.metrics.items()}


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Find the dumps and say what they are. They are read, and refused by name, node by node."""
    table = options.path.endswith(".parquet")
    left_over = Counter[str]()
    paths = local_files.find(options.path, suffix=".parquet" if table else ".txt")
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=columns(options.metrics),
        labelled=False,
        units=(
            handed_on(_of_tables(paths, options, left_over), left_over, asked=options.path, remedy="correct `metrics`")
            if table
            else _of_dumps(paths, options)
        ),
        files=local_files.describe(paths),
        notes=("sensors without a reading are absent values",),
    )


def _of_dumps(paths: tuple[Path, ...], options: Options) -> Readers:
    by_unit: dict[str, list[Named]] = {}
    for path in paths:
        found = files.named(path, options.file_pattern, form=options.instant_format, timezone=options.timezone)
        by_unit.setdefault(found.unit, []).append(found)
    text = options.model_dump_json()
    return Readers({unit: partial(_of_node, unit, tuple(named), text) for unit, named in sorted(by_unit.items())})


def _of_node(unit: str, named: tuple[Named, ...], text: str) -> UnitSeries:
    options = Options.model_validate_json(text)
    found = files.read(named, options.sensors())
    series = _series(unit, found, options)
    if series is None:
        refused = "".join(f", {reason} ({count} times)" for reason, count in found.refused.most_common(3))
        raise InputError(
            f"{named[0].path}: less than two dumps have a reading of {', '.join(options.metrics)}{refused}; correct "
            "`metrics`, or move the node's dumps elsewhere"
        )
    return series


def _of_tables(paths: tuple[Path, ...], options: Options, left_over: Counter[str]) -> Iterator[UnitSeries]:
    for path in paths:
        for unit, found in readings.read(path, options.sensors(), timezone=options.timezone):
            series = _series(unit, found, options)
            if series is None:
                left_over.update(found.refused)
                left_over["a unit with less than two rows"] += 1
            else:
                yield series


def _series(unit: str, found: Found, options: Options) -> UnitSeries | None:
    names = tuple(column.name for column in columns(options.metrics))
    series = joined(unit, group_of(unit, options.group_pattern), names, found.channels)
    if series is None or len(series.series.timestamps) < 2:
        return None
    return replace(series, quarantined=dict(found.refused))
