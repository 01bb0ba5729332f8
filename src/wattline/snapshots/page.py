"""One page of a pull: what a source has of one span, in the form of a snapshot."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from wattline import files, partitions
from wattline.errors import InputError
from wattline.progress import Report
from wattline.records import Partition, Snapshot, SnapshotUnit
from wattline.snapshots.merging import is_in_order, merged
from wattline.sources import NoSamplesError, Readers, Source, UnitSeries
from wattline.sources.checks import check_columns, check_new, check_same_columns, check_shapes, check_unit

Bounds = tuple[datetime | None, datetime | None]
"""First instant and the one after the last; None: no bound."""


def write(folder: Path, source: Source, bounds: Bounds, *, kind: str, report: Report) -> None:
    """Write the rows of `source` within `bounds` below `folder`, and last of all the record of them.

    kind: name of the source
    Raises InputError when a unit's rows cannot be used, NoSamplesError where the source finds only now that it has no
    sample. A page without any row has a record without units.
    """
    check_columns(source.columns)
    quarantined: Counter[str] = Counter()
    units = sorted(_units(folder, source, bounds, quarantined, report), key=lambda unit: unit.name)
    record = Snapshot(
        name=source.name,
        source=kind,
        home=source.home,
        licence=source.licence,
        citation=source.citation,
        cadence_seconds=source.cadence_seconds,
        columns=source.columns,
        labelled=source.labelled,
        units=tuple(units),
        quarantined=dict(sorted(quarantined.items())),
        notes=source.notes,
    )
    files.write_text(folder / partitions.RECORD, record.to_json())


def _units(
    folder: Path, source: Source, bounds: Bounds, quarantined: Counter[str], report: Report
) -> Iterator[SnapshotUnit]:
    names = tuple(column.name for column in source.columns)
    seen: set[str] = set()
    for unit in _found(source.units):
        check_new(unit.series.unit, seen)
        quarantined.update(unit.quarantined)
        if not len(unit.series.timestamps):
            continue
        ordered = _ordered(unit, names)
        check_unit(ordered, expected=names, labelled=source.labelled, minimum_rows=1)
        series = partitions.between(ordered.series, *bounds)
        report(series.unit, len(seen) / (source.unit_count or 1e9), {"units": len(seen)})
        if len(series.timestamps):
            written = tuple(_written(folder, ordered, *bounds))
            test_start = unit.test_start and unit.test_start.astimezone(UTC)
            yield SnapshotUnit(name=series.unit, group=series.group, test_start=test_start, partitions=written)


def _found(units: Iterable[UnitSeries] | Readers) -> Iterator[UnitSeries]:
    """Every unit that has a sample. Of `Readers` one may have none in a page, and the others do."""
    if not isinstance(units, Readers):
        yield from _given(units)
        return
    for read in units.reads.values():
        with suppress(NoSamplesError):
            yield read()


def _given(units: Iterable[UnitSeries]) -> Iterator[UnitSeries]:
    """Units one by one. Who says after the first one that there is no sample broke off, and leaves no page."""
    given = False
    try:
        for unit in units:
            given = True
            yield unit
    except NoSamplesError as error:
        if given:
            raise InputError(f"the source broke off after some units: {error}; try again") from None
        raise


def _ordered(unit: UnitSeries, names: tuple[str, ...]) -> UnitSeries:
    """Late and repeated rows of one answer, where they belong."""
    check_shapes(unit, minimum_rows=1)
    check_same_columns(unit.columns, names, where=f"unit {unit.series.unit}")
    return unit if is_in_order(unit.series) else replace(unit, series=merged([unit.series]))


def _written(folder: Path, unit: UnitSeries, start: datetime | None, end: datetime | None) -> Iterator[Partition]:
    for day, rows in partitions.by_day(partitions.between(unit.series, start, end)):
        yield partitions.write(folder, rows, unit.columns, day=day)
