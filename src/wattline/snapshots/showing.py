"""What there is: every snapshot in a line, or one of them with its units and gaps."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from wattline import partitions
from wattline.records import Snapshot, SnapshotUnit


def listed(store: Path = partitions.FOLDER) -> Iterator[str]:
    """One line for each snapshot, those of one dataset together and in the order in which they were taken."""
    heads = set(partitions.newest(store).values())
    known = partitions.known(store)
    here = [partitions.read_record(store / one) for one in known if (store / one).is_dir()]
    for snapshot in sorted(here, key=lambda one: (one.name, *_order(one, here))):
        mark = "  newest" if snapshot.id in heads else ""
        span = f"{_start(snapshot):%Y-%m-%d %H:%M} to {_end(snapshot):%Y-%m-%d %H:%M} UTC"
        yield f"{snapshot.id[:12]}  {snapshot.name}  {snapshot.rows} rows of {len(snapshot.units)} units  {span}{mark}"
    for one in known:
        if not (store / one).is_dir():
            yield f"{one[:12]}  not here; `dvc pull {store / one}.dvc` brings it"
    if not known:
        yield f"there is no snapshot in {store}; `wattline snapshot SOURCE` takes one"


def shown(folder: Path) -> Iterator[str]:
    """One snapshot: where it is from, its span, columns and licence, and each unit with its rows and gaps."""
    snapshot = partitions.read_record(folder)
    files = sum(len(unit.partitions) for unit in snapshot.units)
    yield f"snapshot     {snapshot.id}"
    yield f"dataset      {snapshot.name}, of source {snapshot.source}, {snapshot.home}"
    yield f"licence      {snapshot.licence}"
    yield f"citation     {snapshot.citation}"
    yield f"span         {_start(snapshot).isoformat()} to {_end(snapshot).isoformat()}"
    yield f"cadence      {snapshot.cadence_seconds:g} s"
    yield f"columns      {', '.join(f'{column.name} [{column.unit}]' for column in snapshot.columns)}"
    yield f"rows         {snapshot.rows} of {len(snapshot.units)} units in {files} partitions"
    yield f"parent       {snapshot.parent or 'none'}"
    yield from (f"not taken    {count} samples: {reason}" for reason, count in snapshot.quarantined.items())
    yield from (f"note         {note}" for note in snapshot.notes)
    for unit in snapshot.units:
        yield f"unit         {unit.name} of {unit.group}: {_unit(unit, snapshot.cadence_seconds)}"


def _unit(unit: SnapshotUnit, cadence_seconds: float) -> str:
    promised = 1 + round((unit.end - unit.start).total_seconds() / cadence_seconds)
    missing = max(0, promised - unit.rows)
    seconds, at = longest_gap(unit)
    gap = f", longest gap {timedelta(seconds=seconds)} h on {at:%Y-%m-%d}" if seconds > 1.5 * cadence_seconds else ""
    return (
        f"{unit.rows} rows, {unit.start:%Y-%m-%d %H:%M:%S} to {unit.end:%Y-%m-%d %H:%M:%S} UTC, "
        f"{missing} missing at its cadence ({missing / promised:.1%}){gap}"
    )


def longest_gap(unit: SnapshotUnit) -> tuple[float, datetime]:
    """Longest distance of two rows that follow each other [s], and the day, or the instant, from which on it is."""
    within = [(partition.longest_gap_seconds, partition.start) for partition in unit.partitions]
    across = [
        ((later.start - earlier.end).total_seconds(), earlier.end) for earlier, later in pairwise(unit.partitions)
    ]
    return max([*within, *across], key=lambda one: one[0])


def _order(snapshot: Snapshot, here: list[Snapshot]) -> tuple[int, str]:
    """How many snapshots it was merged onto, as far as they are here."""
    parents = {one.id: one.parent for one in here}
    depth, at = 0, snapshot.parent
    while at is not None and depth <= len(parents):
        depth, at = depth + 1, parents.get(at)
    return depth, snapshot.id


def _start(snapshot: Snapshot) -> datetime:
    return min(unit.start for unit in snapshot.units)


def _end(snapshot: Snapshot) -> datetime:
    return max(unit.end for unit in snapshot.units)
