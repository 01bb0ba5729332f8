"""A snapshot that was taken before: rows that no longer change, each partition verified before it is used."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from wattline import files, partitions
from wattline.errors import InputError
from wattline.params import Section
from wattline.records import Snapshot, SnapshotUnit, SourceFile
from wattline.sources.source import NoSamplesError, Readers, Source, UnitSeries


class Options(Section):
    """Which snapshot, and which of its rows.

    id: its id, or the beginning of it
    newest: instead of `id`, the name of a dataset: its newest snapshot, as data/snapshots/newest.json has it
    units: some of its units; [] for all
    start: first instant, with an offset from UTC; all where it is absent
    end: instant after the last one
    """

    id: str | None = Field(default=None, min_length=4)
    newest: str | None = Field(default=None, min_length=1)
    units: tuple[str, ...] = ()
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.id is None) == (self.newest is None):
            raise ValueError("give either `id` of a snapshot or `newest` with the name of a dataset")
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start.isoformat()} must be before end {self.end.isoformat()}")
        return self


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open a snapshot of data/snapshots. Raises InputError when there is no such one, IntegrityError for a changed one.

    A unit with a single row, or with none in the span of the options, is left out, and the notes say so.
    """
    folder = _folder(options)
    snapshot = partitions.read_record(folder)
    chosen = tuple(_chosen(snapshot, options))
    kept = [unit for unit in chosen if unit.rows > 1 and partitions.overlapping(unit, options.start, options.end)]
    return Source(
        name=snapshot.name,
        home=snapshot.home,
        licence=snapshot.licence,
        citation=snapshot.citation,
        cadence_seconds=snapshot.cadence_seconds,
        columns=snapshot.columns,
        labelled=snapshot.labelled,
        units=Readers({unit.name: partial(read, folder, unit, snapshot.column_names, options) for unit in kept}),
        unit_count=len(kept),
        files=(_file(folder),),
        notes=tuple(_notes(snapshot, options, left_out=len(chosen) - len(kept))),
    )


def read(folder: Path, unit: SnapshotUnit, columns: tuple[str, ...], options: Options) -> UnitSeries:
    """Rows of one unit. Raises NoSamplesError when the unit has none in the span of the options."""
    series = partitions.read_unit(folder, unit, columns, start=options.start, end=options.end)
    if series is None:
        raise NoSamplesError(
            f"unit {unit.name} has no row between {options.start or 'its first'} and {options.end or 'its last'} in "
            f"snapshot {folder.name[:12]}; name the `units` that have some, or widen the span"
        )
    inside = unit.test_start is not None and partitions.holds(series, unit.test_start)
    return UnitSeries(series, columns, unit.test_start if inside else None)


def _folder(options: Options) -> Path:
    if options.newest is None:
        assert options.id is not None
        return partitions.find(options.id)
    heads = partitions.newest()
    if options.newest not in heads:
        taken = ", ".join(sorted(heads)) or "none yet"
        raise InputError(
            f"params.yaml: ingest.options.snapshot.newest is {options.newest!r}, of which there is no snapshot; "
            f"there are some of: {taken}"
        )
    return partitions.FOLDER / heads[options.newest]


def _chosen(snapshot: Snapshot, options: Options) -> Iterator[SnapshotUnit]:
    absent = [name for name in options.units if snapshot.unit(name) is None]
    if absent:
        raise InputError(
            f"params.yaml: ingest.options.snapshot.units names {absent[0]!r}, which snapshot {snapshot.id[:12]} of "
            f"{len(snapshot.units)} units does not have; `wattline snapshot show {snapshot.id[:12]}` lists them"
        )
    yield from (unit for unit in snapshot.units if not options.units or unit.name in options.units)


def _file(folder: Path) -> SourceFile:
    """The record holds the digest of every partition, so its own stands for all of them."""
    path = folder / partitions.RECORD
    return SourceFile(path=str(path), sha256=files.sha256(path), size_bytes=path.stat().st_size, origin="local")


def _notes(snapshot: Snapshot, options: Options, *, left_out: int) -> Iterator[str]:
    yield f"snapshot {snapshot.id} of source {snapshot.source}"
    yield from snapshot.notes
    if options.start or options.end:
        yield f"rows from {options.start or 'the first'} until before {options.end or 'the end'}"
        if any(unit.test_start for unit in snapshot.units):
            yield "the official test part counts only where it begins inside of these rows"
    if left_out:
        yield f"{left_out} units with a single row, or none on the days asked for, are left out"
    if snapshot.quarantined:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(snapshot.quarantined.items()))
        yield f"samples that the last pull did not take: {counts}"
