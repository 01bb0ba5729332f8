"""An immutable set of rows: which there are, by unit and day, and where they come from."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime

from pydantic import Field

from wattline.records.base import Record
from wattline.records.data import Column


class Partition(Record):
    """Rows of one unit on one day (UTC), one Parquet file.

    start, end: first and last instant
    longest_gap_seconds: longest distance of two rows that follow each other [s]; 0 for one row
    rows_digest: SHA-256 of the rows themselves, equal for equal rows whatever wrote the file
    sha256: SHA-256 of the file
    """

    day: date
    rows: int = Field(ge=1)
    start: datetime
    end: datetime
    longest_gap_seconds: float = Field(ge=0)
    rows_digest: str
    sha256: str


class SnapshotUnit(Record):
    """One unit (a node, a machine, a service) and its partitions, in the order of their days.

    group: what it shares a fate with (a rack), as the last pull said
    test_start: first instant of the publisher's test part, where there is an official split
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    group: str
    test_start: datetime | None = None
    partitions: tuple[Partition, ...] = Field(min_length=1)

    @property
    def rows(self) -> int:
        return sum(partition.rows for partition in self.partitions)

    @property
    def start(self) -> datetime:
        return self.partitions[0].start

    @property
    def end(self) -> datetime:
        return self.partitions[-1].end


class Snapshot(Record):
    """What `wattline snapshot` stored.

    name: what the dataset is called
    source: name of the source that it was pulled from
    cadence_seconds: nominal distance of two rows [s]
    parent: id of the snapshot that these rows were merged onto
    quarantined: samples that the last pull did not take, reason -> count
    notes: what a reader should know
    """

    name: str
    source: str
    home: str
    licence: str = Field(min_length=1)
    citation: str = Field(min_length=1)
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...] = Field(min_length=1)
    labelled: bool
    units: tuple[SnapshotUnit, ...]
    parent: str | None = None
    quarantined: Mapping[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Content address: equal rows of one dataset have one id, wherever and in however many pulls they came."""
        about = self.model_dump(mode="json", include={"name", "licence", "citation", "cadence_seconds", "labelled"})
        columns = [[column.name, column.unit] for column in self.columns]
        units = [_content(unit) for unit in self.units]
        return hashlib.sha256(json.dumps([about, columns, units], sort_keys=True).encode()).hexdigest()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def rows(self) -> int:
        return sum(unit.rows for unit in self.units)

    def unit(self, name: str) -> SnapshotUnit | None:
        return next((unit for unit in self.units if unit.name == name), None)


def _content(unit: SnapshotUnit) -> list[object]:
    test_start = unit.test_start.isoformat() if unit.test_start else None
    partitions = [[partition.day.isoformat(), partition.rows_digest] for partition in unit.partitions]
    return [unit.name, unit.group, test_start, partitions]
