"""Rows by day and unit, as a snapshot keeps them: found, and verified before any of them is used.

<store>/<id>/snapshot.json, <store>/<id>/day=YYYY-MM-DD/<unit>.parquet; <store>/newest.json says which id is the newest
of each dataset.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Partition, Snapshot, SnapshotUnit
from wattline.task import Series
from wattline.times import as_datetime, as_datetime64

FOLDER = Path("data/snapshots")
RECORD = "snapshot.json"
NEWEST = "newest.json"


def path_of(folder: Path, unit: str, day: date) -> Path:
    """File of one unit's rows of one day."""
    return folder / f"day={day.isoformat()}" / f"{unit}.parquet"


def by_day(series: Series) -> Iterator[tuple[date, Series]]:
    """Rows in time order, cut at midnight UTC."""
    days = series.timestamps.astype("datetime64[D]").astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for begin, end in pairwise(edges):
        yield as_datetime(series.timestamps[begin]).date(), series.chosen(slice(begin, end))


def between(series: Series, start: datetime | None, end: datetime | None) -> Series:
    """Rows from `start` on and before `end`; None: no bound."""
    bounds = (
        0 if start is None else int(np.searchsorted(series.timestamps, as_datetime64(start))),
        None if end is None else int(np.searchsorted(series.timestamps, as_datetime64(end))),
    )
    return series.chosen(slice(*bounds))


def holds(series: Series, moment: datetime) -> bool:
    """Whether `moment` is after the first row and not after the last one."""
    return bool(series.timestamps[0] < as_datetime64(moment) <= series.timestamps[-1])


def joined(parts: Sequence[Series]) -> Series:
    """Rows of one unit that follow each other in time."""
    last = parts[-1]
    return Series(
        last.unit,
        last.group,
        np.concatenate([part.timestamps for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.target for part in parts]),
    )


def rows_digest(series: Series) -> str:
    """SHA-256 over instants [us since 1970], values and labels, little endian, with one pattern of bits for NaN."""
    digest = hashlib.sha256(series.timestamps.astype("datetime64[us]").astype("<i8").tobytes())
    values = np.where(np.isnan(series.values), np.float32(np.nan), series.values)
    digest.update(values.astype("<f4").tobytes())
    digest.update(np.where(np.isnan(series.target), np.nan, series.target).astype("<f8").tobytes())
    return digest.hexdigest()


def write(folder: Path, series: Series, columns: Sequence[str], *, day: date) -> Partition:
    """Write the rows of one unit and day, and say what they are."""
    content = files.series_bytes(series, columns)
    path = path_of(folder, series.unit, day)
    instants = series.timestamps.astype("datetime64[us]").astype(np.int64)
    digest = files.write_new(path, content)
    path.chmod(0o444)  # a hard link of another snapshot would change with it
    return Partition(
        day=day,
        rows=len(instants),
        start=as_datetime(series.timestamps[0]),
        end=as_datetime(series.timestamps[-1]),
        longest_gap_seconds=float(np.diff(instants).max(initial=0)) / 1e6,
        rows_digest=rows_digest(series),
        sha256=digest,
    )


def read(folder: Path, unit: SnapshotUnit, partition: Partition, columns: Sequence[str]) -> Series:
    """Rows of one partition. Raises IntegrityError when its bytes are not those that were stored."""
    path = verified(folder, unit.name, partition)
    series = files.read_series(path, columns, group=unit.group)
    if rows_digest(series) != partition.rows_digest:
        raise IntegrityError(
            f"{path} holds other rows than those that gave the snapshot its id; its record was changed: "
            f"remove {folder} and get it again: `dvc pull --force {folder}.dvc`"
        )
    return series


def verified(folder: Path, unit: str, partition: Partition) -> Path:
    """File of a partition. Raises IntegrityError when its bytes are not those that were stored."""
    path = path_of(folder, unit, partition.day)
    found = files.sha256(path) if path.is_file() else "none"
    if found != partition.sha256:
        raise IntegrityError(
            f"{path} has SHA-256 {found[:12]}..., stored was {partition.sha256[:12]}...; "
            f"remove {folder} and get it again: `dvc pull --force {folder}.dvc`, or take the snapshot again"
        )
    return path


def read_unit(
    folder: Path,
    unit: SnapshotUnit,
    columns: Sequence[str],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Series | None:
    """Rows of one unit, every partition verified; None when there is none from `start` on and before `end`."""
    wanted = overlapping(unit, start, end)
    if not wanted:
        return None
    series = between(joined([read(folder, unit, part, columns) for part in wanted]), start, end)
    return series if len(series.timestamps) else None


def overlapping(unit: SnapshotUnit, start: datetime | None, end: datetime | None) -> list[Partition]:
    """Partitions of the days that a span touches."""
    return [part for part in unit.partitions if (not start or part.end >= start) and (not end or part.start < end)]


def read_record(folder: Path) -> Snapshot:
    """What a snapshot is. Raises InputError where it is absent, IntegrityError when it is not what its id says."""
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"snapshot {folder.name} is not here; get it: `dvc pull {folder}.dvc`")
    try:
        snapshot = Snapshot.from_json(path.read_bytes())
    except ValidationError:
        raise IntegrityError(f"{path} is damaged; remove {folder} and `dvc pull --force {folder}.dvc`") from None
    if snapshot.id != folder.name:
        raise IntegrityError(
            f"{path} describes other rows than id {folder.name[:12]} means; it was changed: "
            f"remove {folder} and `dvc pull --force {folder}.dvc`"
        )
    return snapshot


def known(store: Path = FOLDER) -> list[str]:
    """Ids of the snapshots that are here, or that DVC could bring."""
    if not store.is_dir():
        return []
    here = {path.name for path in store.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return sorted(here | {path.stem for path in store.glob("*.dvc")})


def newest(store: Path = FOLDER) -> dict[str, str]:
    """Name of a dataset -> id of its newest snapshot. Raises InputError when the file is not such a mapping."""
    path = store / NEWEST
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
        return {str(name): str(identifier) for name, identifier in found.items()}
    except (ValueError, AttributeError):
        raise InputError(f"{path} is not a mapping of names to ids; `git checkout {path}` brings it back") from None


def find(text: str, *, store: Path = FOLDER) -> Path:
    """Folder of the snapshot whose id begins with `text`, or the newest one of the dataset called so.

    Raises InputError when there is none, or more than one.
    """
    heads = newest(store)
    if text in heads:
        return store / heads[text]
    found = [identifier for identifier in known(store) if text and identifier.startswith(text)]
    if len(found) == 1:
        return store / found[0]
    if found:
        raise InputError(
            f"snapshot {text!r} is not clear: {', '.join(one[:16] for one in found)}; write more of the id"
        )
    names = f"; newest ones of: {', '.join(sorted(heads))}" if heads else "; none was taken so far"
    raise InputError(f"there is no snapshot {text!r} in {store}{names}; `wattline snapshot list` lists them")
