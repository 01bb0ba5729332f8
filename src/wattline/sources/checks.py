"""What every unit's rows must satisfy, whatever source they come from."""

import re
from datetime import datetime

import numpy as np

from wattline.errors import InputError
from wattline.records import Column, UnitRows
from wattline.sources.source import UnitSeries
from wattline.task import Series
from wattline.times import as_datetime64

RESERVED = ("timestamp", "target")
UNIT_NAME = re.compile(UnitRows.model_json_schema()["properties"]["name"]["pattern"])


def check_columns(columns: tuple[Column, ...]) -> None:
    """Raise InputError when a source declares no column, one twice, or one of a reserved name."""
    names = [column.name for column in columns]
    if not names:
        raise InputError("the source has no column of values; name at least one")
    for name in names:
        if name in RESERVED:
            raise InputError(f"column {name!r} has a reserved name; rename it (reserved: {', '.join(RESERVED)})")
        if names.count(name) > 1:
            raise InputError(f"column {name!r} is declared {names.count(name)} times; give each column its own name")


def check_same_columns(found: tuple[str, ...], expected: tuple[str, ...], *, where: str) -> None:
    """Raise InputError naming what is missing, extra or out of order."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        differences = [f"lacks {', '.join(missing)}"] if missing else []
        differences += [f"has unknown {', '.join(extra)}"] if extra else []
        raise InputError(f"{where} {' and '.join(differences)}; every unit needs the columns {', '.join(expected)}")
    if found != expected:
        first = next(index for index, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1])
        raise InputError(
            f"{where} has its columns in another order: {found[first]!r} where {expected[first]!r} belongs; "
            f"reorder them to {', '.join(expected)}"
        )


def check_unit(unit: UnitSeries, *, expected: tuple[str, ...], labelled: bool, minimum_rows: int = 2) -> None:
    """Raise InputError naming unit, column and first offending value when rows of `unit` cannot be used.

    expected: column names of the dataset, in order
    minimum_rows: fewer are an error
    NaN values are allowed: they are samples that nobody recorded.
    """
    series = unit.series
    if not UNIT_NAME.fullmatch(series.unit):
        raise InputError(
            f"unit name {series.unit!r} cannot be a file name; use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    check_shapes(unit, minimum_rows=minimum_rows)
    check_same_columns(unit.columns, expected, where=f"unit {series.unit}")
    _check_timestamps(series)
    _check_finite(unit)
    _check_target(series, labelled=labelled)
    if unit.test_start is not None:
        _check_test_start(series, unit.test_start)


def check_new(name: str, seen: set[str]) -> None:
    """Raise InputError when a unit before this one had its name.

    seen: lower-case names of the units before this one; this one is added
    """
    # A file system that ignores case would let Node1 overwrite node1.
    if name.lower() in seen:
        raise InputError(f"unit {name!r} comes twice (case is ignored); give every unit a name of its own")
    seen.add(name.lower())


def check_shapes(unit: UnitSeries, *, minimum_rows: int) -> None:
    """Raise InputError when the arrays of `unit` do not fit each other, or hold too few rows."""
    series = unit.series
    rows = len(series.timestamps)
    if rows < minimum_rows:
        raise InputError(
            f"unit {series.unit} has {rows} rows, at least {minimum_rows} are needed; leave it out or collect more"
        )
    if series.timestamps.dtype != np.dtype("datetime64[ns]"):
        raise InputError(f"unit {series.unit}: timestamps must be datetime64[ns] in UTC, got {series.timestamps.dtype}")
    if series.values.shape != (rows, len(unit.columns)) or series.values.dtype != np.float32:
        raise InputError(
            f"unit {series.unit}: values must be float32 of shape {(rows, len(unit.columns))}, "
            f"got {series.values.dtype} of shape {series.values.shape}"
        )
    if series.target.shape != (rows,):
        raise InputError(f"unit {series.unit}: target must have shape {(rows,)}, got {series.target.shape}")


def _check_timestamps(series: Series) -> None:
    if np.isnat(series.timestamps).any():
        row = int(np.flatnonzero(np.isnat(series.timestamps))[0])
        raise InputError(f"unit {series.unit}: row {row} has no timestamp; remove or repair it")
    steps = np.diff(series.timestamps).astype(np.int64)
    if (steps > 0).all():
        return
    row = int(np.flatnonzero(steps <= 0)[0]) + 1
    timestamp, before = series.timestamps[row], series.timestamps[row - 1]
    if timestamp == before:
        raise InputError(f"unit {series.unit}: timestamp {timestamp}Z comes twice; keep one row of each instant")
    raise InputError(
        f"unit {series.unit}: timestamp {timestamp}Z follows {before}Z; sort the rows of each unit by time"
    )


def _check_finite(unit: UnitSeries) -> None:
    infinite = np.isinf(unit.series.values)
    if not infinite.any():
        return
    row, column = (int(index) for index in np.argwhere(infinite)[0])
    raise InputError(
        f"unit {unit.series.unit}: column {unit.columns[column]!r} is {unit.series.values[row, column]} "
        f"at {unit.series.timestamps[row]}Z ({int(infinite.sum())} such values); "
        "write NaN where nothing was recorded, and values that fit in 32-bit floats"
    )


def _check_target(series: Series, *, labelled: bool) -> None:
    known = ~np.isnan(series.target)
    if not labelled and known.any():
        raise InputError(f"unit {series.unit} carries labels, but its source says it is not labelled; set labelled")
    wrong = known & ~np.isin(series.target, (0.0, 1.0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"unit {series.unit}: label {series.target[row]:g} at {series.timestamps[row]}Z is neither 0 (normal) "
            "nor 1 (anomalous); leave unknown ones empty"
        )


def _check_test_start(series: Series, test_start: datetime) -> None:
    if test_start.utcoffset() is None:
        raise InputError(f"unit {series.unit}: test_start {test_start} has no time zone; give it in UTC")
    instant = as_datetime64(test_start)
    if not series.timestamps[0] < instant <= series.timestamps[-1]:
        raise InputError(
            f"unit {series.unit}: test_start {test_start} is not between its first row {series.timestamps[0]}Z "
            f"and its last {series.timestamps[-1]}Z; choose an instant inside"
        )
