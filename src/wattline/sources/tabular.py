"""Files of your own: tables with a timestamp column, in one file or many."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AwareDatetime, Field

from wattline.errors import InputError
from wattline.params import Section
from wattline.records import Column
from wattline.sources import local_files
from wattline.sources.checks import check_columns, check_same_columns
from wattline.sources.source import Readers, Source, UnitSeries
from wattline.sources.timestamps import instants
from wattline.task import Series

if TYPE_CHECKING:
    import pyarrow

Text = Annotated[str, Field(min_length=1)]


class Options(Section):
    """Where the files are and what their columns mean.

    path: a file, a folder, or a pattern like "telemetry/*.parquet", seen from the project's root
    timestamp: column of instants; with an offset from UTC, unless `timezone` says where naive ones were taken
    timezone: IANA name, e.g. "UTC" or "Europe/Rome"
    unit: column that names the node, machine or service; without one, each file is a unit called as the file
    group: column that names what units share a fate with (a rack); without one, each unit is its own
    label: column of labels, 0 normal and 1 anomalous, empty where unknown
    column_units: unit of every other column, e.g. {power: W, inlet: degC, load: "1"}
    cadence_seconds: nominal distance of two rows [s]
    test_start: first instant of the official test part, where there is one
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    path: Text
    timestamp: Text = "timestamp"
    timezone: str | None = None
    unit: str | None = None
    group: str | None = None
    label: str | None = None
    column_units: Mapping[str, str]
    cadence_seconds: float = Field(gt=0)
    test_start: AwareDatetime | None = None
    name: Text = "own-files"
    licence: Text
    citation: Text

    def roles(self) -> tuple[str, ...]:
        """Columns that are not values."""
        return tuple(column for column in (self.timestamp, self.unit, self.group, self.label) if column)


Read = Callable[[Path, Options], "pyarrow.Table"]


def open_files(options: Options, read: Read, *, suffix: str) -> Source:
    """Find the files and say what they are. Their rows are read, and refused by name, unit by unit."""
    paths = local_files.find(options.path, suffix=suffix)
    columns = tuple(Column(name=name, unit=unit) for name, unit in options.column_units.items())
    check_columns(columns)
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=columns,
        labelled=options.label is not None,
        units=_units(paths, options, read),
        unit_count=len(paths) if options.unit is None else None,
        files=local_files.describe(paths),
        notes=(f"naive timestamps were taken as {options.timezone}",) if options.timezone else (),
    )


def _units(paths: tuple[Path, ...], options: Options, read: Read) -> Readers | Iterator[UnitSeries]:
    if options.unit is None:
        return Readers({str(path): partial(_unit_of_file, path, options, read) for path in paths})
    return _units_by_column(paths, options, read)


def _unit_of_file(path: Path, options: Options, read: Read) -> UnitSeries:
    table = _checked(read(path, options), options, where=str(path))
    return _unit(path.stem, table, options, where=str(path))


def _units_by_column(paths: tuple[Path, ...], options: Options, read: Read) -> Iterator[UnitSeries]:
    import pyarrow
    from pyarrow import compute

    tables = [_checked(read(path, options), options, where=str(path)) for path in paths]
    try:
        table = pyarrow.concat_tables(tables, promote_options="permissive")
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise InputError(
            f"the files of {options.path} have columns of different types: {error}; make them equal"
        ) from None
    try:
        owners = compute.cast(table[options.unit], pyarrow.string())
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        kind = table[options.unit].type
        raise InputError(f"column {options.unit!r} is {kind}, which names no unit; write names or numbers") from None
    if owners.null_count:
        raise InputError(f"column {options.unit!r} names no unit in {owners.null_count} rows; fill or remove them")
    for name in sorted(compute.unique(owners).to_pylist()):
        yield _unit(name, table.filter(compute.equal(owners, name)), options, where=f"unit {name}")


def _checked(table: "pyarrow.Table", options: Options, *, where: str) -> "pyarrow.Table":
    absent = [column for column in options.roles() if column not in table.column_names]
    if absent:
        raise InputError(
            f"{where} has no column {absent[0]!r}; it has {', '.join(table.column_names)}; correct params.yaml"
        )
    for name in table.column_names:
        if table.column_names.count(name) > 1:
            raise InputError(f"{where} has column {name!r} more than once; give each column its own name")
    values = tuple(name for name in table.column_names if name not in options.roles())
    check_same_columns(values, tuple(options.column_units), where=f"{where} (against `column_units` in params.yaml)")
    for name in values:
        _check_numeric(table[name], name, where=where)
    return table


def _check_numeric(column: "pyarrow.ChunkedArray", name: str, *, where: str) -> None:
    from pyarrow import types

    kind = column.type
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    if not numeric and not types.is_null(kind):
        values = [value for value in column.to_pylist() if value is not None]
        first = next((value for value in values if not _is_number(value)), values[0] if values else None)
        raise InputError(
            f"{where}: column {name!r} is not numeric ({kind}), first {first!r}; repair or remove it, "
            "or name it as timestamp, unit, group or label in params.yaml"
        )


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _unit(name: str, table: "pyarrow.Table", options: Options, *, where: str) -> UnitSeries:
    if not len(table):
        raise InputError(f"{where} holds no row; leave it out of `path` in params.yaml")
    values = tuple(options.column_units)
    with np.errstate(over="ignore"):
        # What does not fit in 32 bits becomes infinite here, and the checks name it.
        cells = np.stack([_floats(table[column]) for column in values], axis=1).astype(np.float32)
    series = Series(
        unit=name,
        group=_group(table, options, where=where) or name,
        timestamps=instants(table[options.timestamp], options.timestamp, timezone=options.timezone, where=where),
        values=cells,
        target=_labels(table, options, where=where),
    )
    return UnitSeries(series, values, options.test_start)


def _floats(column: "pyarrow.ChunkedArray") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    import pyarrow
    from pyarrow import types

    if types.is_boolean(column.type):
        column = column.cast(pyarrow.int8())
    return np.asarray(column.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=np.float64)


def _labels(table: "pyarrow.Table", options: Options, *, where: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    if options.label is None:
        return np.full(len(table), np.nan)
    _check_numeric(table[options.label], options.label, where=where)
    return _floats(table[options.label])


def _group(table: "pyarrow.Table", options: Options, *, where: str) -> str | None:
    if options.group is None:
        return None
    groups = table[options.group].unique().to_pylist()
    if len(groups) != 1 or groups[0] is None:
        raise InputError(f"{where} belongs to {len(groups)} groups ({groups[:3]}); a unit needs exactly one")
    return str(groups[0])
