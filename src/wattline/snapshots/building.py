"""The next snapshot: pages merged onto the newest one, partition by partition; what did not change is linked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from wattline import files, partitions
from wattline.errors import InputError
from wattline.records import Partition, Snapshot, SnapshotUnit
from wattline.snapshots.merging import merged


@dataclass(frozen=True)
class Part:
    """A folder in the form of a snapshot, and what it holds."""

    folder: Path
    record: Snapshot


@dataclass(frozen=True)
class Built:
    """The next snapshot.

    links: file below its folder -> file with the same bytes
    """

    record: Snapshot
    links: dict[Path, Path]


def build(parts: Sequence[Part], *, parent: Part | None, into: Path) -> Built:
    """Write the partitions that changed below `into`, and say what the whole of them is.

    parts: the pages of a pull, the later one after the earlier
    Raises InputError when a column came, went or changed its unit, IntegrityError when stored rows are damaged.
    """
    every = [parent, *parts] if parent else list(parts)
    for earlier, later in pairwise(every):
        check_columns(earlier.record, later.record, stored=earlier is parent)
    last = parts[-1].record
    links: dict[Path, Path] = {}
    units = tuple(_units(every, parent, into, links))
    quarantined: dict[str, int] = {}
    for part in parts:
        for reason, count in part.record.quarantined.items():
            quarantined[reason] = quarantined.get(reason, 0) + count
    new = {
        "units": units,
        "columns": every[0].record.columns,
        "labelled": any(part.record.labelled for part in every),
        "parent": parent.record.id if parent else None,
        "quarantined": dict(sorted(quarantined.items())),
    }
    return Built(last.model_copy(update=new), links)


def check_columns(earlier: Snapshot, later: Snapshot, *, stored: bool) -> None:
    """Raise InputError naming the first column that came, went or is in another unit.

    stored: whether `earlier` is a snapshot; else both are pages of one pull
    """
    before = {column.name: column.unit for column in earlier.columns}
    now = {column.name: column.unit for column in later.columns}
    where = f"snapshot {earlier.id[:12]}" if stored else "an earlier page of this pull"
    remedy = "correct the source's options, or begin a history of its own with --fresh"
    for name in before | now:
        if name not in now:
            raise InputError(f"column {name!r} of {where} is not in what source {later.source} gives now; {remedy}")
        if name not in before:
            raise InputError(f"column {name!r} of source {later.source} is not in {where}; {remedy}")
        if before[name] != now[name]:
            raise InputError(f"column {name!r} is in {before[name]!r} in {where} and in {now[name]!r} now; {remedy}")
    if list(before) != list(now):
        raise InputError(f"the columns of source {later.source} are in another order than in {where}; {remedy}")


def _units(every: Sequence[Part], parent: Part | None, into: Path, links: dict[Path, Path]) -> Iterator[SnapshotUnit]:
    found: dict[str, list[tuple[Part, SnapshotUnit]]] = {}
    for part in every:
        for unit in part.record.units:
            found.setdefault(unit.name, []).append((part, unit))
    lower: dict[str, str] = {}
    for name in sorted(found):
        # A file system that ignores case would let Node1 overwrite node1.
        if lower.setdefault(name.lower(), name) != name:
            raise InputError(
                f"units {lower[name.lower()]!r} and {name!r} differ in case alone; rename one in its source"
            )
        yield _unit(found[name], parent, into, links)


def _unit(
    found: Sequence[tuple[Part, SnapshotUnit]], parent: Part | None, into: Path, links: dict[Path, Path]
) -> SnapshotUnit:
    last = found[-1][1]
    days: dict[date, list[tuple[Part, Partition]]] = {}
    for part, unit in found:
        for partition in unit.partitions:
            days.setdefault(partition.day, []).append((part, partition))
    made = tuple(_partition(last, days[day], parent, into, links) for day in sorted(days))
    test_starts = [unit.test_start for _, unit in found if unit.test_start]
    return last.model_copy(update={"partitions": made, "test_start": test_starts[-1] if test_starts else None})


def _partition(
    unit: SnapshotUnit,
    found: Sequence[tuple[Part, Partition]],
    parent: Part | None,
    into: Path,
    links: dict[Path, Path],
) -> Partition:
    first_part, first = found[0]
    path = partitions.path_of(Path(), unit.name, first.day)
    if len({partition.rows_digest for _, partition in found}) == 1:
        links[path] = partitions.verified(first_part.folder, unit.name, first)
        return first
    columns = first_part.record.column_names
    rows = merged([partitions.read(part.folder, unit, partition, columns) for part, partition in found])
    if first_part is parent and partitions.rows_digest(rows) == first.rows_digest:
        links[path] = first_part.folder / path
        return first
    return partitions.write(into, rows, columns, day=first.day)


def link(built: Built, into: Path) -> None:
    """Put what did not change below `into`, without a copy where the file system can do that."""
    for path, source in built.links.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        files.link(source, target)
        if target.stat().st_mode & 0o222:
            target.chmod(0o444)
