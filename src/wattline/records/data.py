"""Rows: where they come from, how they are cut, and what was found wrong with them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from wattline.records.base import Record


class Column(Record):
    """One column of telemetry.

    unit: SI or customary unit of its values ("W", "degC", "%", "1" for a ratio or a count)
    """

    name: str = Field(min_length=1)
    unit: str
    description: str = ""


class SourceFile(Record):
    """One file that rows came from.

    path: where it lies below its home
    origin: "mirror", "download", "generated" or "local"
    """

    path: str
    sha256: str
    size_bytes: int = Field(ge=0)
    origin: Literal["mirror", "download", "generated", "local"]


class UnitRows(Record):
    """One unit (a node, a machine, a service): how many rows, from when to when.

    group: what it shares a fate with (a rack); its own name where there is none
    test_start: first timestamp of the publisher's test part, where there is an official split
    sha256: digest of the unit's partition below `data/raw/`
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    group: str
    rows: int = Field(ge=1)
    start: datetime
    end: datetime
    test_start: datetime | None = None
    sha256: str = ""


class Dataset(Record):
    """What `ingest` wrote: identity, licence and content digests.

    cadence_seconds: nominal distance of two rows [s]
    labelled: whether rows carry the publisher's labels (0 normal, 1 anomalous)
    files: the source files with their digests, as found
    notes: what a reader should know (assigned timestamps, a checksum pinned at first download)
    """

    name: str
    source: str
    home: str
    licence: str = Field(min_length=1)
    citation: str = Field(min_length=1)
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...]
    units: tuple[UnitRows, ...]
    labelled: bool
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Content address: equal rows from the same source have the same id, wherever and whenever they were read."""
        content = [f"{unit.name}:{unit.sha256}" for unit in self.units]
        content += [f"{column.name}:{column.unit}" for column in self.columns]
        return hashlib.sha256("\n".join([self.name, *content]).encode()).hexdigest()

    @property
    def rows(self) -> int:
        return sum(unit.rows for unit in self.units)


class Axis(Record):
    """The instants of rows, which all units share: `origin` and every multiple of the cadence from there.

    window_seconds: length of the window before each instant whose samples are in its row; null where a row is one
        sample of each column [s]
    statistics: what each raw column became in a window, in order
    raw_columns: columns of the samples of windows
    """

    origin: datetime
    window_seconds: float | None = None
    statistics: tuple[str, ...] = ()
    raw_columns: tuple[Column, ...] = ()


class Part(Record):
    """Rows of one unit in one split. Rows are on the grid: those that were never recorded count, and hold NaN.

    rows, start, end: of those that are judged
    history: how many rows lead them in the file, and only give context to the first windows
    """

    unit: str
    group: str
    split: Literal["train", "validation", "test"]
    rows: int = Field(ge=1)
    start: datetime
    end: datetime
    history: int = Field(default=0, ge=0)


class Manifest(Record):
    """What `prepare` wrote.

    data: id of the dataset it was made from
    axis: when rows are
    files: path below `data/prepared/` -> SHA-256
    """

    data: str
    dataset: str
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...]
    axis: Axis
    parts: tuple[Part, ...]
    files: Mapping[str, str]

    def units(self) -> dict[str, str]:
        """Unit name -> group, in the order of the data."""
        return {part.unit: part.group for part in self.parts}

    @property
    def raw_columns(self) -> tuple[Column, ...]:
        """Columns of the samples that rows were made of."""
        return self.axis.raw_columns or self.columns


class Finding(Record):
    """One expectation that rows did not meet.

    first_rows: the first offending values, as "unit @ timestamp: value"
    quarantined: its rows were taken out, so that it refuses nothing
    """

    rule: str
    column: str
    severity: Literal["critical", "warning"]
    count: int = Field(ge=0)
    share: float = Field(ge=0, le=1)
    first_rows: tuple[str, ...] = ()
    quarantined: bool = False


class QuarantinedUnit(Record):
    """Rows of one unit that were taken out.

    rows, left: how many were taken out, and how many were not
    start, end: of those that are left
    sha256: digest of the file that holds them, below `data/quarantine/`
    """

    name: str
    rows: int = Field(ge=1)
    left: int = Field(ge=0)
    start: datetime | None
    end: datetime | None
    sha256: str


class Quarantine(Record):
    """All rows that `validate` took out of a dataset.

    data: id of the dataset
    """

    data: str
    units: tuple[QuarantinedUnit, ...] = ()

    @property
    def rows(self) -> int:
        return sum(unit.rows for unit in self.units)


class Validation(Record):
    """Outcome of `validate`.

    quarantined: rows that were taken out, of `rows`
    """

    data: str
    rows: int
    units: int
    expectations: int
    findings: tuple[Finding, ...] = ()
    quarantined: int = Field(default=0, ge=0)

    def failures(self, severity: str) -> tuple[Finding, ...]:
        """What rows that are used do not meet: findings whose rows were taken out are none."""
        return tuple(one for one in self.findings if one.severity == severity and not one.quarantined)
