"""ingest: read a source, check its rows, and write them as one Parquet file for each unit."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from wattline import files, splits, workers
from wattline.errors import InputError
from wattline.params import IngestParams
from wattline.progress import progress
from wattline.records import Dataset, Figure, Record, UnitRows
from wattline.sources import Readers, Source, UnitSeries, check_names, open_source
from wattline.sources.checks import check_columns, check_new, check_unit
from wattline.times import as_datetime


class Ingestion(Record):
    """Outcome of `ingest`, as `dvc metrics` shows it.

    span_days: from the first row of any unit to the last one [d]
    missing_rows_share: rows that the cadence promises between a unit's first and last one, and that are absent
    missing_values_share: NaN among the values of the rows that are there
    labelled_rows: rows with a known label
    anomalous_share: share of those that are anomalous; null without labels
    quarantined: samples that the source could not take, reason -> count
    """

    data: str
    dataset: str
    source: str
    units: int
    groups: int
    columns: int
    rows: int
    span_days: float
    missing_rows_share: float
    missing_values_share: float
    labelled_rows: int
    anomalous_share: Figure
    source_files: int
    source_bytes: int
    quarantined: dict[str, int] = Field(default_factory=dict)


Unit = UnitSeries | Callable[[], UnitSeries]
"""The rows of a unit, or what reads them."""


@dataclass(frozen=True)
class Tally:
    """Counts over one unit, or over several."""

    missing_values: int = 0
    labelled_rows: int = 0
    anomalous_rows: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, unit: UnitSeries) -> "Tally":
        return cls(
            missing_values=int(np.isnan(unit.series.values).sum()),
            labelled_rows=int((~np.isnan(unit.series.target)).sum()),
            anomalous_rows=int((unit.series.target == 1).sum()),
            quarantined=Counter(unit.quarantined),
        )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.missing_values + other.missing_values,
            self.labelled_rows + other.labelled_rows,
            self.anomalous_rows + other.anomalous_rows,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True)
class Ingested:
    """What a worker makes of one unit.

    content: its rows as Parquet
    """

    rows: UnitRows
    content: bytes
    tally: Tally


def run(*, ingest: IngestParams, seed: int) -> None:
    """Write data/raw/<unit>.parquet and data/raw/dataset.json. Raises InputError when the source has no usable rows."""
    check_names(name for name in ingest.options if name != ingest.source)
    source = open_source(ingest.source, ingest.options.get(ingest.source, {}), seed=seed)
    check_columns(source.columns)
    with files.replace_directory(files.RAW) as folder:
        units, tally = _write_units(source, folder)
        dataset = _dataset(ingest.source, source, units)
        files.write_text(folder / splits.DATASET, dataset.to_json())
    files.write_report("ingest", _summary(dataset, tally))


def _write_units(source: Source, folder: Path) -> tuple[tuple[UnitRows, ...], Tally]:
    names = tuple(column.name for column in source.columns)
    work = partial(ingested, expected=names, labelled=source.labelled)
    written: list[UnitRows] = []
    tally = Tally()
    seen: set[str] = set()
    with progress("ingest") as report, workers.each(work, _named(source.units), title="ingest") as results:
        for unit in results:
            check_new(unit.rows.name, seen)
            files.write_new(folder / f"{unit.rows.name}.parquet", unit.content)
            tally += unit.tally
            written.append(unit.rows)
            report(unit.rows.name, len(written) / (source.unit_count or math.inf), {"units": len(written)})
    if not written:
        raise InputError(f"source {source.name} gave no samples; check ingest.options in params.yaml")
    return tuple(written), tally


def _named(units: Iterable[UnitSeries] | Readers) -> Iterator[tuple[str, Unit]]:
    if isinstance(units, Readers):
        yield from units.reads.items()
    else:
        yield from ((unit.series.unit, unit) for unit in units)


def ingested(unit: Unit, *, expected: tuple[str, ...], labelled: bool) -> Ingested:
    """Read one unit and check it. Raises InputError when its rows cannot be used.

    expected: column names of the dataset, in order
    """
    found = unit if isinstance(unit, UnitSeries) else unit()
    check_unit(found, expected=expected, labelled=labelled)
    content = files.series_bytes(found.series, expected)
    return Ingested(_unit_rows(found, hashlib.sha256(content).hexdigest()), content, Tally.of(found))


def _unit_rows(unit: UnitSeries, digest: str) -> UnitRows:
    series = unit.series
    return UnitRows(
        name=series.unit,
        group=series.group,
        rows=len(series.timestamps),
        start=as_datetime(series.timestamps[0]),
        end=as_datetime(series.timestamps[-1]),
        test_start=unit.test_start and unit.test_start.astimezone(UTC),
        sha256=digest,
    )


def _dataset(name: str, source: Source, units: tuple[UnitRows, ...]) -> Dataset:
    return Dataset(
        name=source.name,
        source=name,
        home=source.home,
        licence=source.licence,
        citation=source.citation,
        cadence_seconds=source.cadence_seconds,
        columns=source.columns,
        units=units,
        labelled=source.labelled,
        files=source.files,
        notes=source.notes,
    )


def _summary(dataset: Dataset, tally: Tally) -> Ingestion:
    promised = sum(
        1 + round((unit.end - unit.start).total_seconds() / dataset.cadence_seconds) for unit in dataset.units
    )
    span = max(unit.end for unit in dataset.units) - min(unit.start for unit in dataset.units)
    return Ingestion(
        data=dataset.id,
        dataset=dataset.name,
        source=dataset.source,
        units=len(dataset.units),
        groups=len({unit.group for unit in dataset.units}),
        columns=len(dataset.columns),
        rows=dataset.rows,
        span_days=span.total_seconds() / 86_400,
        missing_rows_share=max(0.0, 1 - dataset.rows / promised),
        missing_values_share=tally.missing_values / (dataset.rows * len(dataset.columns)),
        labelled_rows=tally.labelled_rows,
        anomalous_share=tally.anomalous_rows / tally.labelled_rows if tally.labelled_rows else float("nan"),
        source_files=len(dataset.files),
        source_bytes=sum(file.size_bytes for file in dataset.files),
        quarantined=dict(sorted(tally.quarantined.items())),
    )
