"""A source for benchmarks: one day of a fleet at 20 s, of rows that are there already."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from wattline.records import Column
from wattline.sources import Source, UnitSeries
from wattline.sources.span import SpanOptions
from wattline.task import Series

NODES, CADENCE_SECONDS = 200, 20
COLUMNS = ("power", "inlet", "load", "fan", "memory")


class Options(SpanOptions):
    """The span alone."""


def open(options: Options, *, seed: int) -> Source:  # noqa: A001
    start, end = (round(moment.timestamp()) for moment in options.span(datetime.now(UTC)))
    return Source(
        name="fleet",
        home="generated",
        licence="CC0-1.0",
        citation="none",
        cadence_seconds=CADENCE_SECONDS,
        columns=tuple(Column(name=name, unit="1") for name in COLUMNS),
        labelled=False,
        units=_units(np.arange(start, end, CADENCE_SECONDS), seed),
        unit_count=NODES,
    )


def _units(seconds: np.ndarray, seed: int) -> Iterator[UnitSeries]:
    values = np.random.default_rng(seed + int(seconds[0])).normal(500, 50, (len(seconds), len(COLUMNS))).round(1)
    timestamps = (seconds * 10**9).astype("datetime64[ns]")
    for node in range(NODES):
        rows = (values + node).astype(np.float32)
        yield UnitSeries(Series(f"n{node:04d}", "rack", timestamps, rows, np.full(len(seconds), np.nan)), COLUMNS)
