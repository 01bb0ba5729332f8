"""Datasets published as three files for each unit: a train part, a test part, and labels of the test part."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from wattline.errors import InputError
from wattline.records import Column, SourceFile
from wattline.sources import checksums, mirror
from wattline.sources.fetch import fetch
from wattline.sources.source import Readers, Source, UnitSeries
from wattline.task import FloatArray, Series

if TYPE_CHECKING:
    import pyarrow

PARTS = ("train", "test", "test_label")
LABEL = ("label",)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""First timestamp of every unit. Nobody was monitored in 2000: it cannot be taken for the real time."""


@dataclass(frozen=True)
class Publication:
    """What is known about such a dataset before any file is read.

    units: all that its publisher has, in order
    groups: unit -> what it shares a fate with
    suffix: of the publisher's files, e.g. ".txt"; comma-separated, without a header
    mirror_folder: below the data mirror, where the same parts lie as Parquet
    """

    name: str
    licence: str
    citation: str
    cadence_seconds: float
    columns: tuple[Column, ...]
    units: tuple[str, ...]
    groups: dict[str, str]
    suffix: str
    mirror_folder: str


@dataclass(frozen=True)
class Located:
    """The three files of one unit and how to read them."""

    unit: str
    paths: dict[str, Path]
    format: Literal["parquet", "text"]


def open_publication(publication: Publication, wanted: tuple[str, ...], *, home: str) -> Source:
    """Find the files of the `wanted` units (all when empty) in the mirror, or download them.

    Raises InputError for a unit that is not there, and what `fetch` raises.
    """
    unknown = [unit for unit in wanted if unit not in publication.units]
    if unknown:
        raise InputError(f"{publication.name} has no unit {unknown[0]!r}; it has {', '.join(publication.units)}")
    root = mirror.folder(publication.mirror_folder)
    if root is None:
        located, described = _downloaded(publication, wanted or publication.units, home=home)
        origin = f"held against {checksums.FILE}; a file without an entry there is pinned at its first download"
    else:
        located, described = _mirrored(publication, wanted, root)
        origin = f"read from a data mirror: {len(located)} of the publisher's {len(publication.units)} units"
    return Source(
        name=publication.name,
        home=home,
        licence=publication.licence,
        citation=publication.citation,
        cadence_seconds=publication.cadence_seconds,
        columns=publication.columns,
        labelled=True,
        units=Readers({unit.unit: partial(_read, publication, unit) for unit in located}),
        unit_count=len(located),
        files=tuple(described),
        notes=(
            f"timestamps are assigned: the publisher gives none; rows start at {EPOCH:%Y-%m-%dT%H:%MZ} and are "
            f"{publication.cadence_seconds:g} s apart, train directly before test",
            "the publisher labels the test part only; labels of train rows are unknown",
            f"{len(described)} files, {origin}",
        ),
    )


def _downloaded(
    publication: Publication, wanted: tuple[str, ...], *, home: str
) -> tuple[list[Located], list[SourceFile]]:
    located, described = [], []
    for unit in wanted:
        paths = {}
        for part in PARTS:
            path = f"{part}/{unit}{publication.suffix}"
            names = LABEL if part == "test_label" else tuple(column.name for column in publication.columns)
            paths[part], file = fetch(
                path,
                dataset=publication.name,
                home=home,
                check=partial(read_text, columns=names, name=path),
            )
            described.append(file)
        located.append(Located(unit, paths, "text"))
    return located, described


def _mirrored(publication: Publication, wanted: tuple[str, ...], root: Path) -> tuple[list[Located], list[SourceFile]]:
    there = {path.stem for path in (root / "train").glob("*.parquet")}
    absent = [unit for unit in wanted if unit not in there]
    if absent:
        raise InputError(f"the data mirror lacks {absent[0]!r} of {publication.name}; unset the mirror to download it")
    units = [unit for unit in publication.units if unit in (wanted or there)]
    located = [Located(unit, {part: root / part / f"{unit}.parquet" for part in PARTS}, "parquet") for unit in units]
    return located, [mirror.describe(path, root=root) for unit in located for path in unit.paths.values()]


def _read(publication: Publication, located: Located) -> UnitSeries:
    columns = tuple(column.name for column in publication.columns)
    train, test, labels = (
        (read_text if located.format == "text" else read_parquet)(
            located.paths[part], LABEL if part == "test_label" else columns, name=f"{part}/{located.unit}"
        )
        for part in PARTS
    )
    if len(test) != len(labels):
        raise InputError(
            f"{publication.name}: {located.unit} has {len(test)} test rows but {len(labels)} labels; "
            "get its files again from one version of the dataset"
        )
    values = np.concatenate([train, test])
    step = round(publication.cadence_seconds * 1e9)
    start = np.datetime64(EPOCH.replace(tzinfo=None), "ns")
    series = Series(
        unit=located.unit,
        group=publication.groups[located.unit],
        timestamps=start + np.arange(len(values)).astype("timedelta64[ns]") * step,
        values=values,
        target=np.concatenate([np.full(len(train), np.nan), labels[:, 0].astype(np.float64)]),
    )
    test_start = EPOCH + timedelta(seconds=len(train) * publication.cadence_seconds)
    return UnitSeries(series, columns, test_start)


def read_text(file: Path, columns: tuple[str, ...], *, name: str) -> FloatArray:
    """Read comma-separated numbers without a header, (rows, columns). `name` is what an error calls the file."""
    import pyarrow
    from pyarrow import csv

    try:
        table = csv.read_csv(
            file,
            read_options=csv.ReadOptions(column_names=list(columns), use_threads=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pyarrow.float64())),
        )
    except pyarrow.ArrowInvalid as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"{name} is not {len(columns)} comma-separated numbers a row: {first}; get it again from its publisher"
        ) from None
    return _values(table, columns, name=name)


def read_parquet(file: Path, columns: tuple[str, ...], *, name: str) -> FloatArray:
    """Read a mirror's copy, (rows, columns)."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(file)
    except (pyarrow.ArrowInvalid, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"the data mirror's {name} is not Parquet: {first}; copy it again") from None
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise InputError(f"the data mirror's {name} lacks column {missing[0]!r}; copy it again")
    return _values(table, columns, name=name)


def _values(table: "pyarrow.Table", columns: tuple[str, ...], *, name: str) -> FloatArray:
    if not len(table):
        raise InputError(f"{name} holds no row; get it again from its publisher")
    return np.stack([table[column].to_numpy() for column in columns], axis=1).astype(np.float32)
