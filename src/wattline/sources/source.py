"""What a source hands to `ingest`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wattline.errors import InputError
from wattline.records import Column, SourceFile
from wattline.task import Series


class NoSamplesError(InputError):
    """A source was reached and has no sample of what was asked for: a page of a snapshot may be empty."""


@dataclass(frozen=True)
class UnitSeries:
    """Rows of one unit, as its source has them: rows that were never recorded may be absent.

    columns: names of the last axis of `series.values`, as found for this unit
    test_start: first timestamp of the publisher's test part (UTC), where there is an official split
    quarantined: samples that were not taken, reason -> count, e.g. {"in the future": 3}
    """

    series: Series
    columns: tuple[str, ...]
    test_start: datetime | None = None
    quarantined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Readers:
    """Units that whoever works on them reads, here or on another machine: nothing has been read so far.

    reads: what to call a unit until it is read -> reads it. It is sent to workers, so it must be possible to pickle it:
        a `functools.partial` of a function of a module
    """

    reads: Mapping[str, Callable[[], UnitSeries]]

    def __iter__(self) -> Iterator[UnitSeries]:
        return (read() for read in self.reads.values())


@dataclass(frozen=True)
class Source:
    """A dataset, opened but not yet read.

    home: public address of the dataset, "local" or "generated"
    cadence_seconds: nominal distance of two rows [s]
    labelled: whether `series.target` carries labels (0 normal, 1 anomalous, NaN unknown); else it is NaN throughout
    files: the files that rows come from, with the digests found
    notes: what a reader should know; equal for every run on equal inputs
    units: produced one at a time, read once; an iterator may raise InputError or IntegrityError. `Readers` lets
        several workers read at the same time
    unit_count: how many there will be, where that is known before they are read
    """

    name: str
    home: str
    licence: str
    citation: str
    cadence_seconds: float
    columns: tuple[Column, ...]
    labelled: bool
    units: Iterable[UnitSeries] | Readers
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()
    unit_count: int | None = None
