"""What notebooks/exploration.ipynb asks of the raw rows: units, gaps, distributions."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline import charts, splits
from wattline.errors import InputError
from wattline.notebooks.show import Picture, Table
from wattline.records import Dataset
from wattline.task import Series

Span = tuple[np.datetime64, np.datetime64]
LATE = 1.5
"""Cadences between two rows, beyond which at least one is absent."""


@dataclass(frozen=True)
class Unit:
    """What one unit's rows say.

    spans: without a gap; gaps: between them, from the last row before to the first one after
    absent: rows that the cadence promises and that are not there
    missing: values that are NaN, as a share of those in the rows that are there
    anomalous: spans that are labelled
    """

    name: str
    group: str
    rows: int
    spans: tuple[Span, ...]
    gaps: tuple[Span, ...]
    absent: int
    missing: float
    anomalous: tuple[Span, ...]


@dataclass(frozen=True)
class Survey:
    """All units, seen once, one after the other: only `samples` of their rows stay in memory.

    samples: (rows, columns), evenly spread over each unit's rows
    """

    dataset: Dataset
    units: tuple[Unit, ...]
    samples: NDArray[np.float32]


def survey(*, rows_per_unit: int) -> Survey:
    """Look at the rows that `ingest` wrote. Raises InputError when there are none, IntegrityError when they changed."""
    if rows_per_unit < 1:
        raise InputError(f"rows_per_unit must be >= 1, got {rows_per_unit}")
    dataset = splits.read_dataset()
    units, samples = [], []
    for record in dataset.units:
        series = splits.read_raw(dataset, record.name)
        units.append(_unit(series, dataset.cadence_seconds))
        samples.append(series.values[np.linspace(0, len(series) - 1, min(rows_per_unit, len(series)), dtype=np.int64)])
    return Survey(dataset, tuple(units), np.concatenate(samples))


def _unit(series: Series, cadence_seconds: float) -> Unit:
    times = series.timestamps
    cadences = np.diff(times) / np.timedelta64(1, "s") / cadence_seconds
    late = np.flatnonzero(cadences > LATE)
    first, last = np.concatenate([[0], late + 1]), np.concatenate([late, [len(times) - 1]])
    return Unit(
        name=series.unit,
        group=series.group,
        rows=len(times),
        spans=_spans(times, first, last),
        gaps=_spans(times, late, late + 1),
        absent=int(np.rint(cadences[late] - 1).sum()),
        missing=float(np.isnan(series.values).mean()),
        anomalous=_labelled(series),
    )


def _spans(times: NDArray[np.datetime64], first: Iterable[int], last: Iterable[int]) -> tuple[Span, ...]:
    return tuple((times[start], times[end]) for start, end in zip(first, last, strict=True))


def _labelled(series: Series) -> tuple[Span, ...]:
    edges = np.diff(np.concatenate([[False], series.target == 1, [False]]).astype(np.int8))
    return _spans(series.timestamps, np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1)


def facts(found: Survey) -> Table:
    """What the dataset is."""
    dataset = found.dataset
    groups = len({one.group for one in dataset.units})
    said: dict[str, str] = {
        "dataset": f"{dataset.name}, {dataset.home}",
        "identity": dataset.id,
        "licence": dataset.licence,
        "rows": f"{dataset.rows:,} of {len(dataset.units):,} units in {groups:,} groups",
        "columns": f"{len(dataset.columns):,}",
        "cadence": f"{dataset.cadence_seconds:g} s",
        "time": f"{min(one.start for one in dataset.units):%Y-%m-%d %H:%M} to "
        f"{max(one.end for one in dataset.units):%Y-%m-%d %H:%M} UTC",
        "labels": "of the publisher" if dataset.labelled else "none",
        **{f"note {number}": note for number, note in enumerate(dataset.notes, 1)},
    }
    return Table(("what", "found"), list(said.items()))


def units(found: Survey, *, shown: int) -> Table:
    """Units, those with the most absent rows first."""
    headers = (
        "unit",
        "group",
        "rows",
        "gaps",
        "absent rows",
        "longest gap [s]",
        "NaN [% of values]",
        "anomalous spans",
    )
    rows = [
        (
            one.name,
            one.group,
            one.rows,
            len(one.gaps),
            one.absent,
            max((seconds(gap) for gap in one.gaps), default=0.0),
            100 * one.missing,
            len(one.anomalous) if found.dataset.labelled else None,
        )
        for one in _worst(found, shown)
    ]
    return Table(headers, rows)


def recorded(found: Survey, *, shown: int) -> Picture:
    """When units were recorded, and when they were not."""
    worst = _worst(found, shown)
    absent, gaps = sum(one.absent for one in found.units), sum(len(one.gaps) for one in found.units)
    promised = absent + found.dataset.rows
    words = f"{absent:,} of {promised:,} promised rows are absent, in {gaps:,} gaps of {len(found.units):,} units"
    spans, missing = {one.name: one.spans for one in worst}, {one.name: one.gaps for one in worst}
    return Picture(charts.recorded(spans, missing, title=words), words)


def _worst(found: Survey, shown: int) -> Sequence[Unit]:
    if shown < 1:
        raise InputError(f"shown must be >= 1, got {shown}")
    return sorted(found.units, key=lambda one: (-one.absent, one.name))[:shown]


def seconds(span: Span) -> float:
    """How long a span is [s]."""
    return float((span[1] - span[0]) / np.timedelta64(1, "s"))


def columns(found: Survey) -> Table:
    """Values of each column, in its unit."""
    headers = ("column", "unit", "missing [%]", "minimum", "median", "99 % below", "maximum", "what it is")
    rows = []
    for column, values in zip(found.dataset.columns, found.samples.T, strict=True):
        known = values[np.isfinite(values)].astype(np.float64)
        low, median, high, top = np.quantile(known, [0, 0.5, 0.99, 1]) if len(known) else [math.nan] * 4
        missing = 100 * (1 - len(known) / len(values))
        rows.append(
            (column.name, column.unit, missing, float(low), float(median), float(high), float(top), column.description)
        )
    return Table(headers, rows)


def distributions(found: Survey, *, shown: int) -> Picture:
    """Histograms of the first `shown` columns."""
    if shown < 1:
        raise InputError(f"shown must be >= 1, got {shown}")
    drawn = found.dataset.columns[:shown]
    samples = {column.name: found.samples[:, place] for place, column in enumerate(drawn)}
    seen = f"{len(found.samples):,} of {found.dataset.rows:,} rows"
    words = f"{len(drawn)} of {len(found.dataset.columns)} columns, in {seen}"
    return Picture(charts.distributions(samples, drawn, title=words), words)
