"""ingest: read a source, check its rows, and write them as one Parquet file for each unit."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from wattline import files, splits
from wattline.errors import InputError
from wattline.params import IngestParams
from wattline.progress import progress
from wattline.records import Dataset, Figure, Record, UnitRows
from wattline.sources import Source, UnitSeries, check_names, open_source
from wattline.sources.checks import check_columns, check_unit


class Ingestion(Record):
    """Outcome of `ingest`, as `dvc metrics` shows it.

    span_days: from the first row of any unit to the last one [d]
    missing_rows_share: rows that the cadence promises between a unit's first and last one, and that are absent
    missing_values_share: NaN among the values of the rows that are there
    labelled_rows: rows with a known label
    anomalous_share: share of those that are anomalous; null without labels
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


class Tally:
    """Counts over the units seen so far."""

    def __init__(self) -> None:
        self.missing_values = 0
        self.labelled_rows = 0
        self.anomalous_rows = 0

    def add(self, unit: UnitSeries) -> None:
        self.missing_values += int(np.isnan(unit.series.values).sum())
        self.labelled_rows += int((~np.isnan(unit.series.target)).sum())
        self.anomalous_rows += int((unit.series.target == 1).sum())


def run(*, ingest: IngestParams, seed: int) -> None:
    """Write data/raw/<unit>.parquet and data/raw/dataset.json. Raises InputError when the source has no usable rows."""
    check_names(name for name in ingest.options if name != ingest.source)
    source = open_source(ingest.source, ingest.options.get(ingest.source, {}), seed=seed)
    check_columns(source.columns)
    tally = Tally()
    with files.replace_directory(files.RAW) as folder:
        units = _write_units(source, folder, tally)
        dataset = _dataset(ingest.source, source, units)
        files.write_text(folder / splits.DATASET, dataset.to_json())
    files.write_report("ingest", _summary(dataset, tally))


def _write_units(source: Source, folder: Path, tally: Tally) -> tuple[UnitRows, ...]:
    names = tuple(column.name for column in source.columns)
    written: list[UnitRows] = []
    seen: set[str] = set()
    with progress("ingest") as report:
        for unit in source.units:
            check_unit(unit, expected=names, labelled=source.labelled, seen=seen)
            digest = files.write_series(folder, unit.series, names)
            tally.add(unit)
            written.append(_unit_rows(unit, digest))
            report(unit.series.unit, len(written) / (source.unit_count or math.inf), {"units": len(written)})
    if not written:
        raise InputError(f"source {source.name} gave no samples; check ingest.options in params.yaml")
    return tuple(written)


def _unit_rows(unit: UnitSeries, digest: str) -> UnitRows:
    series = unit.series
    return UnitRows(
        name=series.unit,
        group=series.group,
        rows=len(series.timestamps),
        start=_instant(series.timestamps[0]),
        end=_instant(series.timestamps[-1]),
        test_start=unit.test_start and unit.test_start.astimezone(UTC),
        sha256=digest,
    )


def _instant(timestamp: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(timestamp.astype(np.int64)) / 1e9, tz=UTC)


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
    )
