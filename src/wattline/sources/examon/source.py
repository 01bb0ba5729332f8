"""Samples from ExaMon's database, page by page and node by node."""

import difflib
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil

import numpy as np
from pydantic import Field

from wattline.errors import InputError
from wattline.progress import progress
from wattline.sources.channels import joined
from wattline.sources.checks import UNIT_NAME
from wattline.sources.examon import answer, query
from wattline.sources.examon.answer import Question, Samples
from wattline.sources.examon.database import Database
from wattline.sources.examon.query import Aggregator, Asked, Page
from wattline.sources.metrics import CINECA, Metric, Pattern, Text, columns, rack_of, unit_of
from wattline.sources.source import NoSamplesError, Source, UnitSeries
from wattline.sources.span import Span, SpanOptions

SINGLE = "a unit with fewer rows than minimum_rows"

log = logging.getLogger(__name__)


class ExamonMetric(Metric):
    """What becomes of a metric.

    metric: its name in the database; the key, where it is absent
    tags: values that are let through, by tag, e.g. {core: ["0"]}
    """

    metric: Text | None = None
    tags: Mapping[str, tuple[Text, ...]] = {}


class Options(SpanOptions):
    """Which database, and what of it. Credentials come from the environment.

    url: of KairosDB, e.g. http://examon.example:8083, or of the Grafana before it, e.g. https://examon.example:3000
    grafana_source: what Grafana calls the database; null where `url` is KairosDB's own
    metrics: what becomes of each metric
    cluster: tag `cluster` of the samples; any, where it is absent
    plugin: tag `plugin`, the collector; any, where it is null
    nodes: values of `unit_tag` that are wanted; all, where there is none
    tags: values of further tags that are let through, by tag
    unit_tag: tag whose value names the unit
    group_pattern: regular expression of a unit's name; its (group) names the rack
    nodes_per_rack: of nodes that are only numbers: rack k holds those from k times this on
    aggregator: what the database makes of the samples of each window; raw samples, where it is null
    time_zone: as the database wants it named; neither absolute times nor windows depend on it
    nodes_per_query: so many are asked for, and held in memory, at once
    maximum_samples: of each metric in one answer; a page that has more is asked for in halves
    minimum_rows: a unit with fewer is left out and counted; `ingest` needs 2
    timeout_seconds: for one answer [s]
    password_in_the_open: whether credentials may be sent over http
    cadence_seconds: nominal distance of two samples [s]
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    url: Text
    grafana_source: Text | None = None
    metrics: Mapping[str, ExamonMetric] = Field(min_length=1)
    cluster: Text | None = None
    plugin: Text | None = "ipmi_pub"
    nodes: tuple[Text, ...] = ()
    tags: Mapping[str, tuple[Text, ...]] = {}
    unit_tag: Text = "node"
    group_pattern: Pattern | None = CINECA
    nodes_per_rack: int = Field(default=20, ge=1)
    aggregator: Aggregator | None = None
    time_zone: Text = "UTC"
    nodes_per_query: int = Field(default=50, ge=1)
    maximum_samples: int = Field(default=500_000, ge=2)
    minimum_rows: int = Field(default=2, ge=1)
    timeout_seconds: float = Field(default=120, gt=0)
    password_in_the_open: bool = False
    cadence_seconds: float = Field(default=20, gt=0)
    name: Text = "examon"
    licence: Text = "internal"
    citation: Text = "samples of our own monitoring"

    def asked(self) -> tuple[Asked, ...]:
        """The metrics in the order of `metrics`, each with all tags that are asked for."""
        common = {"cluster": (self.cluster,), "plugin": (self.plugin,)}
        shared = {tag: [value for value in values if value] for tag, values in common.items()}
        return tuple(
            Asked(
                found.metric or name,
                found.column or name,
                {tag: values for tag, values in (shared | dict(self.tags) | dict(found.tags)).items() if values},
            )
            for name, found in self.metrics.items()
        )

    @property
    def step(self) -> int:
        """Pages are cut at multiples of it [ms]: a window lies in one page."""
        return self.aggregator.milliseconds if self.aggregator else 1


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Ask which nodes have samples in the span. The samples are asked for when the units are read.

    Raises InputError when the database does not answer, knows no such metric, or has it without `unit_tag`;
    NoSamplesError when the span has no sample.
    """
    now = datetime.now(UTC)
    span = options.span(now)
    whole = _whole(Span(span.start, min(span.end, now)), options.step)
    with _database(options) as database:
        nodes, absent = _nodes(database, options, whole)
        place = database.place
    unfit = [node for node in nodes if not UNIT_NAME.fullmatch(unit_of(node))]
    usable = tuple(node for node in nodes if node not in unfit)
    if not usable:
        raise _nothing(options, span)
    return Source(
        name=options.name,
        home=place,
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.aggregator.milliseconds / 1000 if options.aggregator else options.cadence_seconds,
        columns=columns(options.metrics),
        labelled=False,
        units=_Asking(options, whole, usable),
        unit_count=len(usable),
        notes=(
            f"samples from {span.start.isoformat()} until before {span.end.isoformat()}",
            *(f"metric {name} has no sample in that span" for name in absent),
            *([f"nodes whose names cannot be names of files are left out: {', '.join(unfit[:5])}"] if unfit else []),
        ),
    )


def _whole(span: Span, step: int) -> Page:
    """The part of the span that holds only whole windows."""
    start, end = (round(moment.timestamp() * 1000) for moment in span)
    return Page(-(-start // step) * step, end // step * step)


def _database(options: Options) -> Database:
    return Database(
        options.url,
        grafana_source=options.grafana_source,
        timeout_seconds=options.timeout_seconds,
        in_the_open=options.password_in_the_open,
    )


def _nodes(database: Database, options: Options, page: Page) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Nodes that the tags of the span name, by number or name, and metrics that have none."""
    if page.start >= page.end:
        return (), ()
    body = query.tags(
        page, options.asked(), time_zone=options.time_zone, unit_tag=options.unit_tag, units=options.nodes
    )
    found: dict[str, None] = {}
    absent = []
    for metric, tags in answer.tags(database.post("datapoints/query/tags", body), options.asked()):
        if tags and options.unit_tag not in tags:
            raise InputError(
                f"metric {metric.name!r} has no tag {options.unit_tag!r}, which would name its unit; it has "
                f"{', '.join(sorted(tags))}: leave it out, or choose another `unit_tag`"
            )
        found.update(dict.fromkeys(tags.get(options.unit_tag, ())))
        if not tags:
            absent.append(metric.name)
    if absent:
        _check_known(database, absent)
    wanted = {node for node in found if node in options.nodes or not options.nodes}
    return tuple(sorted(wanted, key=lambda node: (int(node) if node.isdecimal() else -1, node))), tuple(absent)


def _check_known(database: Database, names: Sequence[str]) -> None:
    """A metric that was never written is misspelt; one that has no sample just now is not."""
    listed = database.get("metricnames")
    known = listed.get("results") if isinstance(listed, dict) else None
    if not isinstance(known, list):
        raise InputError(
            f"{database.place} does not list its metrics as KairosDB does; check ingest.options.examon.url"
        )
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, [one for one in known if isinstance(one, str)], n=3)
            hint = f"; it has {', '.join(close)}" if close else ""
            raise InputError(f"{database.place} has no metric {name!r}{hint}; correct `metrics`")


@dataclass(frozen=True)
class _Asking:
    """Asks for the samples whenever it is gone through."""

    options: Options
    span: Page
    nodes: tuple[str, ...]

    def __iter__(self) -> Iterator[UnitSeries]:
        options = self.options
        left_over: Counter[str] = Counter()
        count = 0
        with _database(options) as database, progress("examon") as report:
            for first in range(0, len(self.nodes), options.nodes_per_query):
                nodes = self.nodes[first : first + options.nodes_per_query]
                samples = _samples(database, options, self.span, nodes)
                for unit in _units(samples, nodes, options, left_over):
                    count += 1
                    yield replace(unit, quarantined=dict(Counter(unit.quarantined) + left_over))
                    left_over.clear()
                report("nodes", min(1.0, (first + len(nodes)) / len(self.nodes)), {"units": count})
        if not count:
            raise _refused(options, left_over)


def _units(samples: Samples, nodes: Sequence[str], options: Options, left_over: Counter[str]) -> Iterator[UnitSeries]:
    """Rows of each node that has enough. What was not taken goes with its unit, or else into `left_over`."""
    for node in samples.refused.keys() - set(nodes):
        left_over.update(samples.refused[node])
    names = [column.name for column in columns(options.metrics)]
    for node in nodes:
        channels = {
            column: (np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces]))
            for column, pieces in samples.channels.get(node, {}).items()
        }
        rack = rack_of(node, nodes_per_rack=options.nodes_per_rack, pattern=options.group_pattern)
        series = joined(unit_of(node), rack, names, channels)
        refused = samples.refused.get(node, Counter())
        if series is not None and len(series.series.timestamps) >= options.minimum_rows:
            yield replace(series, quarantined=dict(refused))
            continue
        left_over.update(refused)
        left_over[SINGLE] += series is not None


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
    found = answer.samples(database.post("datapoints/query", body), question)
    if not found.full:
        yield found
        return
    halves = page.halves(options.step)
    if halves is None:
        raise InputError(
            f"there are {options.maximum_samples} samples and more of {len(nodes)} nodes within "
            f"{ceil(page.end - page.start)} ms; raise `maximum_samples`, or lower `nodes_per_query`"
        )
    for half in halves:
        yield from _page(database, options, half, nodes)


def _nothing(options: Options, span: Span) -> NoSamplesError:
    asked = ", ".join(metric.name for metric in options.asked())
    return NoSamplesError(
        f"{options.url} has no sample of {asked} from {span.start.isoformat()} until before {span.end.isoformat()}; "
        "check cluster, plugin, nodes and tags, or choose another span"
    )


def _refused(options: Options, left_over: Counter[str]) -> InputError:
    """Why no unit came: there was no sample, or none could be taken, which is no empty answer."""
    span = options.span(datetime.now(UTC))
    wrong = Counter({reason: count for reason, count in left_over.items() if reason != SINGLE and count})
    if not wrong:
        return _nothing(options, span)
    reasons = ", ".join(f"{reason}: {count}" for reason, count in wrong.most_common(3))
    return InputError(f"{options.url} has no usable sample; not taken were {reasons}; repair them at their home")
