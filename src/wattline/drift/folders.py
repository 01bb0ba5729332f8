"""Folders of rows that can be compared: raw rows, prepared rows, a snapshot. What they hold is verified first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from wattline import partitions, splits
from wattline.drift.records import Side
from wattline.drift.rows import Rows
from wattline.errors import InputError
from wattline.progress import progress
from wattline.records import Column
from wattline.task import FloatArray, Series
from wattline.times import as_datetime

Kind = Literal["raw rows", "prepared rows", "snapshot"]


@dataclass(frozen=True)
class Span:
    """Instants from `start` on and before `end` (UTC); None: no bound."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Folder:
    """What lies in a folder, and how its rows are read.

    units: read one at a time
    """

    name: str
    data: str
    kind: Kind
    columns: tuple[Column, ...]
    unit_count: int
    units: Iterable[Series]


def find(place: str) -> Folder:
    """What `place` holds: a folder, or a snapshot by the beginning of its id or the name of its dataset.

    Raises InputError when it is neither, or the folder holds nothing that can be read.
    """
    folder = Path(place)
    if not folder.is_dir():
        folder = partitions.find(place)
    if (folder / partitions.RECORD).is_file():
        return _snapshot(folder)
    if (folder / splits.DATASET).is_file():
        return _raw(folder)
    if (folder / splits.MANIFEST).is_file():
        return _prepared(folder)
    raise InputError(
        f"{folder} holds neither {splits.DATASET} (raw rows), {splits.MANIFEST} (prepared rows) nor "
        f"{partitions.RECORD} (a snapshot); name one that `wattline run ingest`, `prepare` or `wattline snapshot` wrote"
    )


def read(folder: Folder, columns: tuple[Column, ...], span: Span) -> tuple[Rows, Side]:
    """Rows in which anything was recorded, in the order of `columns`. Raises InputError when there are none."""
    place = {column.name: index for index, column in enumerate(folder.columns)}
    chosen = [place[column.name] for column in columns]
    parts: dict[str, list[FloatArray]] = {}
    seen: list[np.datetime64] = []
    with progress("drift") as report:
        for count, series in enumerate(folder.units, 1):
            inside = partitions.between(series, span.start, span.end)
            values = np.where(np.isfinite(inside.values[:, chosen]), inside.values[:, chosen], np.float32(np.nan))
            kept = ~np.isnan(values).all(axis=1)
            if kept.any():
                parts.setdefault(series.unit, []).append(values[kept])
                seen += [inside.timestamps[kept][0], inside.timestamps[kept][-1]]
            report(f"{folder.name}, {series.unit}", min(1.0, count / folder.unit_count), {})
    if not parts:
        raise InputError(
            f"{folder.name} ({folder.kind}) has no recorded row from {span.start or 'its first'} to "
            f"{span.end or 'its last'} in the columns compared; widen the span or name other columns"
        )
    rows = Rows(tuple(column.name for column in columns), {unit: np.concatenate(one) for unit, one in parts.items()})
    return rows, _side(folder, rows, min(seen), max(seen))


def _side(folder: Folder, rows: Rows, first: np.datetime64, last: np.datetime64) -> Side:
    return Side(
        name=folder.name,
        data=folder.data,
        kind=folder.kind,
        rows=len(rows),
        units=len(rows.values),
        start=as_datetime(first),
        end=as_datetime(last),
    )


def _snapshot(folder: Path) -> Folder:
    record = partitions.read_record(folder)

    def units() -> Iterator[Series]:
        for unit in record.units:
            series = partitions.read_unit(folder, unit, record.column_names)
            if series is not None:
                yield series

    return Folder(record.name, record.id, "snapshot", record.columns, len(record.units), units())


def _raw(folder: Path) -> Folder:
    dataset = splits.read_dataset(folder)
    units = (splits.read_unit(unit, dataset.columns, folder=folder) for unit in dataset.units)
    return Folder(dataset.name, dataset.id, "raw rows", dataset.columns, len(dataset.units), units)


def _prepared(folder: Path) -> Folder:
    """What a model is trained and tuned on: no test rows."""
    manifest = splits.read_manifest(folder)

    def units() -> Iterator[Series]:
        for split in ("train", "validation"):
            yield from splits.read_split(split, folder=folder).values()

    return Folder(
        manifest.dataset, manifest.data, "prepared rows", manifest.columns, 2 * len(manifest.units()), units()
    )
