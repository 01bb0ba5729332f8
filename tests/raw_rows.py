"""Raw rows as `ingest` leaves them: of two columns, regular or as irregular as a monitoring system's."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from wattline import files, splits
from wattline.records import Column, Dataset, UnitRows
from wattline.task import Series

ORIGIN = np.datetime64("2026-01-01", "ns")
COLUMNS = (Column(name="power", unit="W"), Column(name="load", unit="1"))


def store(units: Sequence[Series], *, cadence_seconds: float, test_start: datetime | None = None) -> Dataset:
    """Write the rows of `units` and their record. test_start: of the official test part of each"""
    dataset = Dataset(
        name="d",
        source="s",
        home="h",
        licence="l",
        citation="c",
        cadence_seconds=cadence_seconds,
        columns=COLUMNS,
        units=tuple(
            UnitRows(
                name=one.unit,
                group=one.group,
                rows=len(one),
                start=_datetime(one.timestamps[0]),
                end=_datetime(one.timestamps[-1]),
                test_start=test_start,
                sha256=files.write_series(files.RAW, one, [column.name for column in COLUMNS]),
            )
            for one in units
        ),
        labelled=True,
    )
    files.write_text(files.RAW / splits.DATASET, dataset.to_json())
    return dataset


def telemetry(unit: int, generator: np.random.Generator, *, hours: float = 4) -> Series:
    """About 20 s apart, with jitter, lost samples, an outage, and columns that are missing by themselves."""
    count = int(hours * 180)
    seconds = np.sort(np.arange(count) * 20 + generator.uniform(0, 19, count))
    kept = generator.random(count) > 0.1
    kept[200 : 200 + 30 * unit] = False
    values = np.stack([500 + 40 * generator.standard_normal(count), generator.random(count)], axis=1)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[:, 0][np.isnan(values).all(axis=1)] = 480.0
    timestamps = ORIGIN + np.round(seconds * 1e9).astype("timedelta64[ns]")
    timestamps = timestamps.astype("datetime64[us]").astype("datetime64[ns]")  # as it is stored
    rows = values[kept].astype(np.float32)
    return Series(f"n{unit}", "rack", timestamps[kept], rows, np.zeros(int(kept.sum())))


def _datetime(instant: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(instant.astype(np.int64)) / 1e9, tz=UTC)
