"""A pull: a span of a source, page by page, each kept until the snapshot is stored, so that a killed one goes on."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wattline import files, partitions
from wattline.errors import InputError
from wattline.interruption import Say
from wattline.progress import progress
from wattline.records import Record, Snapshot
from wattline.settings import settings
from wattline.snapshots import page
from wattline.sources import NoSamplesError, open_source
from wattline.sources.registry import every_row, is_asked_for_a_span, options_of
from wattline.sources.span import Span, SpanOptions

BEGUN = "pull.json"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """What is pulled.

    options: of the source, as params.yaml has them
    start, end: what was asked for; None: as the options say, until now
    page_hours: span of one page [h]
    fresh: whether the rows begin a history of their own
    """

    source: str
    options: Mapping[str, Any]
    seed: int
    start: datetime | None
    end: datetime | None
    page_hours: float
    fresh: bool = False

    @property
    def folder(self) -> Path:
        """Where its pages lie meanwhile."""
        asked = [str(moment) for moment in (self.start, self.end)]
        words = [self.source, dict(self.options), self.seed, *asked, self.page_hours, self.fresh]
        key = hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()
        return settings().state / "pulls" / key[:16]


class Begun(Record):
    """A pull that is under way.

    at: when it began
    start, end: its span; absent for a source that gives all that it has
    """

    at: datetime
    start: datetime | None
    end: datetime | None


def pages(question: Question, *, say: Say) -> list[Path]:
    """Folders with the pages of a pull, in the order of time; those of a killed one are not asked for again.

    Raises NoSamplesError when there is not one row, and what the source raises when it fails: the pages before stay.
    """
    begun = _begun(question, say=say)
    bounds = list(_bounds(begun, question))
    folders = [question.folder / f"{number:06d}" for number in range(len(bounds))]
    with progress("snapshot") as report:
        for number, (folder, span) in enumerate(zip(folders, bounds, strict=True)):
            if not folder.is_dir():
                _fetch(question, folder, span, position=(number, len(bounds)), say=say)
            report(f"page {number + 1} of {len(bounds)}", (number + 1) / len(bounds), {})
    records = {folder: record(folder) for folder in folders if (folder / partitions.RECORD).is_file()}
    if not any(found.units for found in records.values()):
        shutil.rmtree(question.folder)
        raise NoSamplesError(f"source {question.source} has no sample {_told(begun)}; nothing was stored")
    # A page without a row may still count samples that could not be taken.
    return [folder for folder, found in records.items() if found.units or found.quarantined]


def record(folder: Path) -> Snapshot:
    """What a page holds."""
    return files.read_record(folder / partitions.RECORD, Snapshot)


def _begun(question: Question, *, say: Say) -> Begun:
    path = question.folder / BEGUN
    if path.is_file():
        begun = files.read_record(path, Begun)
        kept = sum(one.is_dir() and one.name.isdigit() for one in question.folder.iterdir())
        say(f"goes on with the pull of {begun.at:%Y-%m-%d %H:%M} UTC {_told(begun)}: {kept} pages of it are here")
        return begun
    begun = Begun.model_validate(dict(zip(("start", "end"), _span(question), strict=True), at=datetime.now(UTC)))
    files.write_text(path, begun.to_json())
    return begun


def _span(question: Question) -> page.Bounds:
    """What is asked for now. Raises InputError for a span that is none."""
    start, end = question.start, question.end
    if start and end and start >= end:
        raise InputError(f"--from {start.isoformat()} must be before --to {end.isoformat()}")
    if not is_asked_for_a_span(question.source):
        return start, end
    given = dict(question.options) | ({"end": end} if end else {})
    if start:
        given = {name: value for name, value in given.items() if name != "minutes"} | {"start": start}
    options = options_of(question.source, given)
    assert isinstance(options, SpanOptions)
    return options.span(datetime.now(UTC))


def _bounds(begun: Begun, question: Question) -> Iterator[page.Bounds]:
    """Pages end at multiples of their length, so that pulls that overlap have the same ones.

    A source that is not asked for a span gives everything each time: it is one page.
    """
    if begun.start is None or begun.end is None or not is_asked_for_a_span(question.source):
        yield begun.start, begun.end
        return
    step, at = timedelta(hours=question.page_hours), begun.start
    while at < begun.end:
        after = EPOCH + ((at - EPOCH) // step + 1) * step
        yield at, min(after, begun.end)
        at = after


def _fetch(question: Question, folder: Path, bounds: page.Bounds, *, position: tuple[int, int], say: Say) -> None:
    number, count = position
    options = question.options
    if is_asked_for_a_span(question.source):
        span = Span(*(bound for bound in bounds if bound))
        options = {name: value for name, value in options.items() if name != "minutes"}
        options |= span._asdict() | every_row(question.source)
    try:
        with files.replace_directory(folder) as fresh, progress(f"page {number + 1} of {count}") as report:
            try:
                source = open_source(question.source, options, seed=question.seed)
                page.write(fresh, source, bounds, kind=question.source, report=report)
            except NoSamplesError:
                return
    except BaseException:
        if number:
            say(f"{number} of {count} pages are kept in {question.folder}: the same command goes on from there")
        raise


def _told(begun: Begun) -> str:
    start = begun.start.isoformat() if begun.start else "its beginning"
    return f"from {start} until {begun.end.isoformat() if begun.end else 'its end'}"
