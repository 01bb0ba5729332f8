"""Samples from ExaMon's database, page by page and node by node."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wattline.errors import InputError
from wattline.progress import progress
from wattline.sources.checks import UNIT_NAME
from wattline.sources.examon import answer, query
from wattline.sources.examon.answer import Question, Samples
from wattline.sources.examon.database import Database
from wattline.sources.examon.nodes import nodes
from wattline.sources.examon.options import Options
from wattline.sources.examon.query import Page
from wattline.sources.leftovers import handed_on, rows
from wattline.sources.metrics import columns, rack_of, unit_of
from wattline.sources.remote import TooLargeError
from wattline.sources.source import NoSamplesError, Source, UnitSeries
from wattline.sources.span import Span

REMEDY = "check cluster, plugin, nodes and tags, or choose another span"


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Ask which nodes have samples in the span. The samples are asked for when the units are read.

    Raises InputError when the database does not answer, knows no such metric, or has it without `unit_tag`;
    NoSamplesError when the span has no sample.
    """
    now = datetime.now(UTC)
    span = options.span(now)
    step = options.aggregator.milliseconds if options.aggregator else None
    whole = _whole(Span(span.start, min(span.end, now)), step)
    with _database(options) as database:
        found, absent = nodes(database, options, whole)
    unfit = [node for node in found if not UNIT_NAME.fullmatch(unit_of(node))]
    usable = tuple(node for node in found if node not in unfit)
    if not usable:
        raise NoSamplesError(f"{_told(options, span)} has no sample; {REMEDY}")
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.aggregator.milliseconds / 1000 if options.aggregator else options.cadence_seconds,
        columns=columns(options.metrics),
        labelled=False,
        units=_Asking(options, span, whole, usable),
        unit_count=len(usable),
        notes=(
            f"samples from {span.start.isoformat()} until before {span.end.isoformat()}",
            *(f"metric {name} has no sample in that span" for name in absent),
            *([f"nodes whose names cannot be names of files are left out: {', '.join(unfit[:5])}"] if unfit else []),
        ),
    )


def _whole(span: Span, step: int | None) -> Page:
    """The samples that rows within the span are made of: those of a window are told at its end."""
    start, end = (round(moment.timestamp() * 1000) for moment in span)
    if step is None:
        return Page(start, end)
    return Page(-(-start // step) * step - step, (end - 1) // step * step)


def _database(options: Options) -> Database:
    return Database(
        options.url,
        grafana_source=options.grafana_source,
        timeout_seconds=options.timeout_seconds,
        in_the_open=options.password_in_the_open,
    )


@dataclass(frozen=True)
class _Asking:
    """Asks for the samples whenever it is gone through."""

    options: Options
    asked_for: Span
    span: Page
    nodes: tuple[str, ...]

    def __iter__(self) -> Iterator[UnitSeries]:
        left_over: Counter[str] = Counter()
        asked = _told(self.options, self.asked_for)
        return handed_on(self._units(left_over), left_over, asked=asked, remedy=REMEDY)

    def _units(self, left_over: Counter[str]) -> Iterator[UnitSeries]:
        size = self.options.nodes_per_query
        with _database(self.options) as database, progress("examon") as report:
            for first in range(0, len(self.nodes), size):
                asked = self.nodes[first : first + size]
                yield from _units(_samples(database, self.options, self.span, asked), asked, self.options, left_over)
                done = first + len(asked)
                report("nodes", done / len(self.nodes), {"nodes": done})


def _units(samples: Samples, nodes: Sequence[str], options: Options, left_over: Counter[str]) -> Iterator[UnitSeries]:
    """Rows of each node that has enough. What was not taken goes with its unit, or else into `left_over`."""
    for node in samples.refused.keys() - set(nodes):
        left_over.update(samples.refused[node])
    names = [column.name for column in columns(options.metrics)]
    for node in nodes:
        unit = rows(
            unit_of(node),
            rack_of(node, nodes_per_rack=options.nodes_per_rack, pattern=options.group_pattern),
            names,
            samples.channels.get(node, {}),
            refused=samples.refused.get(node, Counter()),
            minimum_rows=options.minimum_rows,
            left_over=left_over,
        )
        if unit is not None:
            yield unit


def _samples(database: Database, options: Options, span: Page, nodes: Sequence[str]) -> Samples:
    """Everything that the database has of these nodes."""
    merged = Samples()
    for page in _pages(span, options, len(nodes)):
        for part in _page(database, options, page, nodes):
            for unit, found in part.channels.items():
                for column, pieces in found.items():
                    merged.channels.setdefault(unit, {}).setdefault(column, []).extend(pieces)
            for unit, refused in part.refused.items():
                merged.refused.setdefault(unit, Counter()).update(refused)
    return merged


def _pages(span: Page, options: Options, nodes: int) -> Iterator[Page]:
    """Pages that should hold half of `maximum_samples` for each metric, cut at multiples of their length."""
    each = options.maximum_samples / 2 / nodes * options.cadence_seconds * 1000
    length = max(1, int(each // options.step)) * options.step
    at = span.start
    while at < span.end:
        after = min((at // length + 1) * length, span.end)
        yield Page(at, after)
        at = after


def _page(database: Database, options: Options, page: Page, nodes: Sequence[str]) -> Iterator[Samples]:
    """One page, or its halves where it has more samples than are read at once. Raises InputError where none fit."""
    question = Question(
        page=page,
        metrics=options.asked(),
        unit_tag=options.unit_tag,
        units=frozenset(nodes),
        aggregator=options.aggregator,
        limit=options.maximum_samples,
        now=time.time(),
    )
    body = query.points(
        page,
        question.metrics,
        time_zone=options.time_zone,
        unit_tag=options.unit_tag,
        units=nodes,
        aggregator=options.aggregator,
        limit=options.maximum_samples,
    )
    try:
        found = answer.samples(database.post("datapoints/query", body), question)
    except TooLargeError:
        found = None
    if found is not None and not found.full:
        yield found
        return
    halves = page.halves(options.step)
    if halves is None:
        raise InputError(
            f"there are {options.maximum_samples} samples and more of {len(nodes)} nodes within "
            f"{page.end - page.start} ms, or their answer is too large; raise `maximum_samples`, or lower "
            "`nodes_per_query`"
        )
    for half in halves:
        yield from _page(database, options, half, nodes)


def _told(options: Options, span: Span) -> str:
    asked = ", ".join(metric.name for metric in options.asked())
    return f"{asked} at {options.url} from {span.start.isoformat()} until before {span.end.isoformat()}"
