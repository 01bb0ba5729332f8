"""What one snapshot has that another has not, by unit and day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np

from wattline import partitions
from wattline.records import Partition, Snapshot, SnapshotUnit
from wattline.task import Series


@dataclass(frozen=True)
class Change:
    """Rows of one unit and day, by instants: only in the later one, in both with other values, only in the earlier."""

    unit: str
    day: date
    added: int
    changed: int
    removed: int


def changes(earlier: Path, later: Path) -> Iterator[Change]:
    """Every unit and day that differ, in order. Equal partitions are not read.

    Columns are compared that both have in one unit of measure; labels are, too.
    Raises IntegrityError when a partition that has to be read is damaged.
    """
    first, second = partitions.read_record(earlier), partitions.read_record(later)
    shared = _shared(first, second)
    for name in sorted({unit.name for unit in (*first.units, *second.units)}):
        before, after = first.unit(name), second.unit(name)
        old, new = _days(before), _days(after)
        for day in sorted(old | new):
            if _digest(old, day) == _digest(new, day) and len(shared) == len(first.columns) == len(second.columns):
                continue
            change = Change(
                name,
                day,
                *_counted(
                    _read(earlier, before, old.get(day), first, shared),
                    _read(later, after, new.get(day), second, shared),
                ),
            )
            if change.added or change.changed or change.removed:
                yield change


def lines(earlier: Path, later: Path) -> Iterator[str]:
    """The differences as people read them: columns, units, then rows by unit and day."""
    first, second = partitions.read_record(earlier), partitions.read_record(later)
    yield f"from         {first.id[:12]}: {first.rows} rows of {first.name}"
    yield f"to           {second.id[:12]}: {second.rows} rows of {second.name}"
    yield from _about(first, second)
    yield from _columns(first, second)
    yield from _units(first, second)
    totals = [0, 0, 0]
    for change in changes(earlier, later):
        counts = (change.added, change.changed, change.removed)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        yield f"rows         {change.unit} {change.day}: {_counts(counts)}"
    yield f"all rows     {_counts((totals[0], totals[1], totals[2]))}"


def _about(first: Snapshot, second: Snapshot) -> Iterator[str]:
    for what in ("name", "licence", "citation", "cadence_seconds", "labelled"):
        before, after = getattr(first, what), getattr(second, what)
        if before != after:
            yield f"{what:<12} {before!r}, now {after!r}"


def _columns(first: Snapshot, second: Snapshot) -> Iterator[str]:
    before, after = _measures(first), _measures(second)
    for name in before | after:
        if name not in after:
            yield f"column       {name} vanished"
        elif name not in before:
            yield f"column       {name} appeared, in {after[name]!r}"
        elif before[name] != after[name]:
            yield f"column       {name} was in {before[name]!r} and is in {after[name]!r}: not compared"


def _units(first: Snapshot, second: Snapshot) -> Iterator[str]:
    went_on = _end(second) is not None and _end(second) != _end(first)
    for name in sorted({unit.name for unit in (*first.units, *second.units)}):
        before, after = first.unit(name), second.unit(name)
        if before is None and after is not None:
            yield f"unit         {name} appeared at {after.start.isoformat()}"
        elif after is None:
            yield f"unit         {name} vanished"
        elif before is not None and before.group != after.group:
            yield f"unit         {name} moved from group {before.group} to {after.group}"
        elif before is not None and went_on and before.end == after.end:
            yield f"unit         {name} gave nothing new: its last row is still of {after.end.isoformat()}"


def _end(snapshot: Snapshot) -> datetime | None:
    return max((unit.end for unit in snapshot.units), default=None)


def _counts(counts: tuple[int, int, int]) -> str:
    return "{} added, {} changed, {} removed".format(*counts)


def _measures(snapshot: Snapshot) -> dict[str, str]:
    return {column.name: column.unit for column in snapshot.columns}


def _shared(first: Snapshot, second: Snapshot) -> list[str]:
    after = _measures(second)
    return [name for name, unit in _measures(first).items() if after.get(name) == unit]


def _days(unit: SnapshotUnit | None) -> dict[date, Partition]:
    return {partition.day: partition for partition in unit.partitions} if unit else {}


def _digest(days: Mapping[date, Partition], day: date) -> str | None:
    return days[day].rows_digest if day in days else None


def _read(
    folder: Path, unit: SnapshotUnit | None, partition: Partition | None, snapshot: Snapshot, shared: list[str]
) -> Series | None:
    if unit is None or partition is None:
        return None
    series = partitions.read(folder, unit, partition, snapshot.column_names)
    places = [snapshot.column_names.index(name) for name in shared]
    return Series(series.unit, series.group, series.timestamps, series.values[:, places], series.target)


def _counted(before: Series | None, after: Series | None) -> tuple[int, int, int]:
    """Rows added, changed and removed."""
    if before is None or after is None:
        return len(after.timestamps) if after else 0, 0, len(before.timestamps) if before else 0
    _, old, new = np.intersect1d(before.timestamps, after.timestamps, assume_unique=True, return_indices=True)
    values, now = before.values[old], after.values[new]
    equal = ((values == now) | (np.isnan(values) & np.isnan(now))).all(axis=1)
    labels, labels_now = before.target[old], after.target[new]
    equal &= (labels == labels_now) | (np.isnan(labels) & np.isnan(labels_now))
    return len(after.timestamps) - len(new), int((~equal).sum()), len(before.timestamps) - len(old)
