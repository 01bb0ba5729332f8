"""A folder of new raw rows, in the place of what a server was asked: Parquet files with `timestamp` and columns."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.grid import on_grid
from wattline.records import Signature
from wattline.task import FloatArray, Series, Split

if TYPE_CHECKING:
    import pyarrow

Times = NDArray[np.datetime64]
Part = tuple[Times, FloatArray]


def read(folder: Path, signature: Signature) -> Split:
    """Rows by unit, on the grid of `signature` and in its columns; a column that is not there is missing throughout.

    The unit is the column `unit` where there is one, otherwise the name of the file: what `ingest` writes is read, too.
    Raises InputError naming the file that cannot be read, or has none of the columns.
    """
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise InputError(f"{folder} holds no Parquet file; name a folder with new rows, e.g. one file for each unit")
    parts: dict[str, list[Part]] = {}
    for path in paths:
        units, times, values = _table(path, signature)
        for unit in sorted(set(units.tolist())):
            parts.setdefault(unit, []).append((times[units == unit], values[units == unit]))
    return {unit: _series(unit, found, signature) for unit, found in parts.items()}


def _table(path: Path, signature: Signature) -> tuple[NDArray[np.str_], Times, FloatArray]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not Parquet: {str(error).splitlines()[0]}") from None
    names = [column.name for column in signature.columns]
    if "timestamp" not in table.column_names or not set(names) & set(table.column_names):
        raise InputError(
            f"{path} must have `timestamp` and columns of the model, e.g. {names[0]}; it has {table.column_names}"
        )
    times = _instants(path, table["timestamp"])
    units = table["unit"].to_numpy() if "unit" in table.column_names else np.full(len(times), path.stem)
    values = np.full((len(times), len(names)), np.nan, np.float32)
    for place, name in enumerate(names):
        if name in table.column_names:
            values[:, place] = _numbers(path, name, table[name])
    return units.astype(str), times, values


def _instants(path: Path, column: "pyarrow.ChunkedArray") -> Times:
    import pyarrow

    if not pyarrow.types.is_timestamp(column.type) or column.null_count:
        raise InputError(f"{path}: timestamp must be an instant in every row, it is {column.type}")
    instants: Times = column.to_numpy().astype("datetime64[ns]")
    return instants


def _numbers(path: Path, name: str, column: "pyarrow.ChunkedArray") -> FloatArray:
    import pyarrow

    try:
        numbers = np.asarray(column.cast(pyarrow.float32()).to_numpy(), np.float32)
    except pyarrow.ArrowException:
        raise InputError(f"{path}: {name} must hold numbers, it is {column.type}") from None
    return np.where(np.isfinite(numbers), numbers, np.nan).astype(np.float32)


def _series(unit: str, parts: list[Part], signature: Signature) -> Series:
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    times, order = np.unique(times, return_index=True)
    series = Series(unit, unit, times, values[order], np.full(len(times), np.nan))
    return on_grid(series, cadence_seconds=signature.cadence_seconds)
