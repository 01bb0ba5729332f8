"""Rows that validation took out: stored whole with their reasons, and left out wherever rows are used."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Dataset, Quarantine, QuarantinedUnit, UnitRows
from wattline.task import Series
from wattline.times import as_datetime

FOLDER = Path("data/quarantine")
INDEX = "quarantine.json"
Positions = NDArray[np.int64]
"""(rows,) places of rows in a unit's file below data/raw, ascending."""


def write(dataset: Dataset, reasons: Mapping[str, Mapping[int, str]]) -> Quarantine:
    """Replace data/quarantine by the rows that `reasons` names.

    reasons: unit -> place of a row in its file -> why it is taken out
    """
    with files.replace_directory(FOLDER) as folder:
        units = [_write_unit(folder, unit, reasons[unit.name]) for unit in dataset.units if reasons.get(unit.name)]
        index = Quarantine(data=dataset.id, units=tuple(units))
        files.write_text(folder / INDEX, index.to_json())
    return index


def _write_unit(folder: Path, unit: UnitRows, reasons: Mapping[int, str]) -> QuarantinedUnit:
    import pyarrow
    from pyarrow import parquet

    table = parquet.read_table(files.RAW / f"{unit.name}.parquet")
    places = np.array(sorted(reasons), dtype=np.int64)
    taken = table.take(places).append_column("row", pyarrow.array(places))
    taken = taken.append_column("reason", pyarrow.array([reasons[place] for place in places.tolist()]))
    left = np.delete(table["timestamp"].to_numpy(), places)
    return QuarantinedUnit(
        name=unit.name,
        rows=len(places),
        left=len(left),
        start=as_datetime(left.min()) if len(left) else None,
        end=as_datetime(left.max()) if len(left) else None,
        sha256=files.write_table(folder / f"{unit.name}.parquet", taken),
    )


def read(dataset: Dataset) -> Quarantine:
    """What validation took out of the rows of `dataset`; nothing where they were never validated.

    Raises InputError where it was, but its record is missing, and IntegrityError when that is about other rows.
    """
    path = FOLDER / INDEX
    if not path.exists():
        if files.report_path("validate").exists():
            raise InputError(f"{path} is missing: which rows to leave out is unknown; run `dvc repro validate`")
        return Quarantine(data=dataset.id)
    found = files.read_record(path, Quarantine)
    if found.data != dataset.id:
        raise IntegrityError(f"{path} is about other rows than {files.RAW} holds; run `dvc repro validate`")
    return found


def remaining(units: Iterable[UnitRows], found: Quarantine) -> tuple[UnitRows, ...]:
    """Units as they are without the rows that were taken out. Raises InputError for one that has none left."""
    return tuple(_remaining(unit, found) for unit in units)


def _remaining(unit: UnitRows, found: Quarantine) -> UnitRows:
    taken = next((one for one in found.units if one.name == unit.name), None)
    if taken is None:
        return unit
    if taken.start is None or taken.end is None:
        raise InputError(f"unit {unit.name} has all of its rows in {FOLDER}; leave it out, or correct the source")
    return unit.model_copy(update={"start": taken.start, "end": taken.end})


def places(unit: str, found: Quarantine) -> Positions:
    """Which rows of a unit were taken out. Raises IntegrityError when its file is not what `validate` wrote."""
    from pyarrow import parquet

    taken = next((one for one in found.units if one.name == unit), None)
    if taken is None:
        return np.zeros(0, dtype=np.int64)
    path = FOLDER / f"{unit}.parquet"
    if files.sha256(path) != taken.sha256:
        raise IntegrityError(
            f"{path} was changed after `validate` wrote it: `dvc repro --force validate` makes it anew"
        )
    return np.asarray(parquet.read_table(path, columns=["row"])["row"].to_numpy())


def without_quarantined(series: Series, rows: Positions, *, first: int = 0) -> Series:
    """`series` as if the rows at those places had never been recorded.

    first: place of its first row in the unit's file
    """
    inside = rows[(rows >= first) & (rows < first + len(series.timestamps))] - first
    if not len(inside):
        return series
    kept = np.ones(len(series.timestamps), dtype=bool)
    kept[inside] = False
    return series.chosen(kept)


def pieces_without(pieces: Iterable[Series], rows: Positions) -> Iterator[Series]:
    """The same for a unit that comes some rows at a time."""
    first = 0
    for piece in pieces:
        left = without_quarantined(piece, rows, first=first)
        first += len(piece.timestamps)
        if len(left.timestamps):
            yield left
