"""Raw rows of all units as two tables, `rows` and `units`, after their bytes were compared with their record."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wattline import files, splits
from wattline.errors import InputError
from wattline.records import Dataset, UnitRows

if TYPE_CHECKING:
    import pandas

ADDED = ("unit", "group", "timestamp", "target", "step_seconds")
"""Columns of the table `rows` beside those of the dataset."""


def verify(dataset: Dataset, folder: Path = files.RAW) -> None:
    """Raise IntegrityError naming the first partition whose bytes are not those that `ingest` recorded."""
    for unit in dataset.units:
        splits.verify(folder / f"{unit.name}.parquet", unit.sha256, maker="ingest")


def layout_differences(dataset: Dataset, folder: Path = files.RAW) -> Iterator[tuple[str, str]]:
    """Pairs (unit, what is wrong) for each partition whose columns are not those of the dataset, in order and type."""
    import pyarrow
    from pyarrow import parquet

    expected = {"timestamp": "timestamp[us, tz=UTC]"}
    expected |= {column.name: "float" for column in dataset.columns} | {"target": "double"}
    for unit in dataset.units:
        try:
            schema = parquet.read_schema(folder / f"{unit.name}.parquet")
        except pyarrow.ArrowInvalid:
            yield unit.name, "is not a Parquet file"
            continue
        difference = _difference(schema.names, [str(kind) for kind in schema.types], expected)
        if difference:
            yield unit.name, difference


def _difference(names: list[str], types: list[str], expected: dict[str, str]) -> str:
    found = {
        "lacks": [name for name in expected if name not in names],
        "has unknown": [name for name in names if name not in expected],
        "repeats": sorted({name for name in names if names.count(name) > 1}),
    }
    if any(found.values()):
        return " and ".join(f"{what} {', '.join(which)}" for what, which in found.items() if which)
    for name, place in zip(names, expected, strict=True):
        if name != place:
            return f"has {name} where {place} belongs"
    wrong = [(name, kind) for name, kind in zip(names, types, strict=True) if kind != expected[name]]
    return ", ".join(f"{name} is {kind} instead of {expected[name]}" for name, kind in wrong)


def read(dataset: Dataset, folder: Path = files.RAW) -> "tuple[pandas.DataFrame, pandas.DataFrame]":
    """The tables `rows` and `units`. Partitions must have the layout of the dataset.

    rows: unit, group, timestamp (UTC), the dataset's columns (float64), target, and step_seconds: distance to the row
        before in the same unit [s], missing in its first row
    units: one row a unit: unit, group, timestamp (its first), rows, recorded_rows (what `ingest` counted) and
        missing_share: share of the steps of the cadence, from its first row to its last, without any value
    """
    import pandas

    names = _names(dataset)
    sizes = [_size(folder / f"{unit.name}.parquet") for unit in dataset.units]
    ends = np.cumsum(sizes)
    # Great Expectations compares float32 one Python call a value, float64 a whole column at once; and all rules read
    # column after column, so they lie one after the other in memory, with target and steps as the last ones.
    values = np.empty((int(ends[-1]), len(names) + 2), dtype=np.float64, order="F")
    timestamps = np.empty(len(values), dtype="datetime64[ns]")
    described = []
    for unit, begin, end in zip(dataset.units, [0, *ends[:-1]], ends, strict=True):
        rows = slice(int(begin), int(end))
        _fill(values[rows], timestamps[rows], folder / f"{unit.name}.parquet", [*names, "target"])
        described.append(_describe(timestamps[rows], values[rows, :-2], unit, dataset.cadence_seconds))
    table = pandas.DataFrame(values, columns=[*names, "target", "step_seconds"], copy=False)
    identity = {"unit": [unit.name for unit in dataset.units], "group": [unit.group for unit in dataset.units]}
    for place, (column, labels) in enumerate(identity.items()):
        places = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        codes = np.repeat(np.array([places[label] for label in labels], dtype=np.int32), sizes)
        labelled = pandas.Categorical.from_codes(codes, categories=pandas.Index(list(places)))
        table.insert(place, column, pandas.Series(labelled))
    table.insert(2, "timestamp", timestamps)
    return table, pandas.DataFrame(described)


def _size(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)


def _fill(values: NDArray[np.float64], timestamps: NDArray[np.datetime64], path: Path, names: list[str]) -> None:
    """Put the rows of one unit where they belong, and the distance to the row before [s] into the last column."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        table = file.read()
    timestamps[:] = table["timestamp"].to_numpy()
    for place, name in enumerate(names):
        values[:, place] = table[name].to_numpy()
    values[:1, -1] = np.nan
    distance = np.diff(timestamps)
    values[1:, -1] = np.where(np.isnat(distance), np.nan, distance.astype(np.int64) / 1e9)


def _names(dataset: Dataset) -> list[str]:
    names = [column.name for column in dataset.columns]
    for name in names:
        if name in ADDED:
            raise InputError(f"column {name!r} has a name that validation gives to a column of its own; rename it")
    return names


def _describe(
    timestamps: NDArray[np.datetime64], values: NDArray[np.float64], unit: UnitRows, cadence_seconds: float
) -> dict[str, Any]:
    valid = timestamps[~np.isnat(timestamps)]
    seconds = float((valid.max() - valid.min()).astype(np.int64)) / 1e9 if len(valid) else 0.0
    expected = round(seconds / cadence_seconds) + 1
    missing = np.ones(len(values), dtype=bool)
    for column in values.T:
        missing &= np.isnan(column)
    return {
        "unit": unit.name,
        "group": unit.group,
        "timestamp": timestamps[0] if len(valid) else np.datetime64("NaT", "ns"),
        "rows": len(timestamps),
        "recorded_rows": unit.rows,
        "missing_share": max(0.0, 1 - int((~missing).sum()) / expected),
    }
