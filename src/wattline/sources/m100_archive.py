"""M100 ExaData as published: every 20 s sample of Marconi100's 980 nodes, from the folders of the archive."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, Field

from wattline.sources import exadata, local_files
from wattline.sources.channels import Channel, joined
from wattline.sources.exadata import File
from wattline.sources.metrics import CINECA, Metric, Pattern, Text, columns, rack_of, unit_of
from wattline.sources.source import NoSamplesError, Readers, Source, UnitSeries
from wattline.sources.span import Span, SpanOptions

DOI = "10.1038/s41597-023-02174-3"
FIRST, AFTER_LAST = datetime(2020, 3, 1, tzinfo=UTC), datetime(2022, 10, 1, tzinfo=UTC)


class ArchiveMetric(Metric):
    """A metric of the archive, and what becomes of it.

    plugin: that collected it; ipmi_pub, ganglia_pub and nagios_pub are of nodes
    where: values that further columns must have, e.g. {description: "alive::ping"} of Nagios
    """

    plugin: Text = "ipmi_pub"
    where: Mapping[str, str] = Field(default_factory=dict)


METRICS = {
    "total_power": ArchiveMetric(unit="W", description="node power"),
    "ambient": ArchiveMetric(unit="degC", description="inlet temperature"),
    "p0_power": ArchiveMetric(unit="W", description="power of socket 0"),
    "p1_power": ArchiveMetric(unit="W", description="power of socket 1"),
}


class Options(SpanOptions):
    """Where the archive was unpacked, and which part of it.

    path: the folder that holds year_month=YY-MM/plugin=P/metric=M/*.parquet
    start: first instant, with an offset from UTC; by default that of the archive
    end: instant after the last one
    metrics: name in the archive -> what becomes of it; empty: power of node and sockets, and inlet temperature
    nodes: some of them, as the archive calls them ("0", "1", ...); empty: all
    without: nodes to leave out, e.g. one with a single row, which `ingest` refuses
    nodes_per_rack: rack k holds nodes k times that number, and those after it
    group_pattern: regular expression of a node's name that is no number; its (group) names the rack
    maximum_samples_per_read: nodes are read in groups of at most so many samples, 40 bytes each; a single node is
        read whole in any case
    cadence_seconds: nominal distance of two samples [s]
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    path: Text
    start: AwareDatetime | None = FIRST
    end: AwareDatetime | None = AFTER_LAST
    metrics: Mapping[str, ArchiveMetric] = Field(default={})
    nodes: tuple[Text, ...] = ()
    without: tuple[Text, ...] = ()
    nodes_per_rack: int = Field(default=20, ge=1)
    group_pattern: Pattern | None = CINECA
    maximum_samples_per_read: int = Field(default=20_000_000, ge=1)
    cadence_seconds: float = Field(default=20, gt=0)
    name: Text = "m100_archive"
    licence: Text = "CC-BY-4.0"
    citation: Text = f"Borghesi et al., M100 ExaData, Scientific Data 10, 288 (2023), doi {DOI}"

    def chosen(self) -> Mapping[str, ArchiveMetric]:
        return self.metrics or METRICS


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Look through the archive for its nodes. Their samples are read, and refused by name, group by group.

    Raises InputError when the folder is no such archive or lacks a metric, NoSamplesError when the span has
    no sample.
    """
    span = options.span(datetime.now(UTC))
    found = _files(options, span)
    counts = _counts(found, options, span)
    if not counts:
        raise NoSamplesError(
            f"{options.path} has no sample from {span.start.isoformat()} until before {span.end.isoformat()}; choose "
            "another span, or unpack those months"
        )
    absent = [name for name, paths in found.items() if not paths]
    return Source(
        name=options.name,
        home=f"https://doi.org/{DOI}",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=columns(options.chosen()),
        labelled=False,
        units=Readers(dict(_reads(options, span, counts))),
        unit_count=len(counts),
        files=local_files.describe(tuple(dict.fromkeys(path for paths in found.values() for path in paths))),
        notes=(
            f"samples from {span.start.isoformat()} until before {span.end.isoformat()}",
            *(f"{name} was not collected in these months" for name in absent),
        ),
    )


def _files(options: Options, span: Span) -> dict[str, tuple[Path, ...]]:
    root = Path(options.path)
    return {
        name: exadata.files(root, plugin=metric.plugin, metric=name, span=span)
        for name, metric in options.chosen().items()
    }


def _counts(found: Mapping[str, tuple[Path, ...]], options: Options, span: Span) -> dict[str, int]:
    """Samples by node, in the order of their numbers or names: all, or those that are asked for."""
    counts: Counter[str] = Counter()
    for name, paths in found.items():
        for path in paths:
            for rows in File(path, span, options.chosen()[name].where).owners():
                each = np.bincount(rows.codes, minlength=len(rows.owners)).tolist()
                counts.update(dict(zip(rows.owners, each, strict=True)))
    if options.nodes:
        counts = Counter({node: counts[node] for node in options.nodes if node in counts})
    return {node: counts[node] for node in sorted(counts.keys() - set(options.without), key=_order)}


def _order(node: str) -> tuple[int, str]:
    return (int(node) if node.isdigit() else -1, node)


def _reads(options: Options, span: Span, counts: Mapping[str, int]) -> Iterator[tuple[str, Callable[[], UnitSeries]]]:
    # What was opened again is read again, also by a process that has read a group before.
    opened = secrets.token_hex(8)
    text = options.model_dump_json()
    for group in _groups(counts, options.maximum_samples_per_read):
        for node in group:
            yield unit_of(node), partial(_read, node, group, span, text, opened)


def _groups(counts: Mapping[str, int], most: int) -> Iterator[tuple[str, ...]]:
    group: list[str] = []
    samples = 0
    for node, count in counts.items():
        if group and samples + count > most:
            yield tuple(group)
            group, samples = [], 0
        group.append(node)
        samples += count
    yield tuple(group)


def _read(node: str, group: tuple[str, ...], span: Span, options: str, opened: str) -> UnitSeries:
    return _group(group, span, options, opened)[node]


@lru_cache(maxsize=1)
def _group(nodes: tuple[str, ...], span: Span, text: str, opened: str) -> dict[str, UnitSeries]:  # noqa: ARG001
    """The last group is kept: its nodes are asked for one after the other, and each pass goes over all the files."""
    options = Options.model_validate_json(text)
    pieces: dict[str, dict[str, list[Channel]]] = {node: {} for node in nodes}
    refused = {node: Counter[str]() for node in nodes}
    for name, paths in _files(options, span).items():
        column = options.chosen()[name].column or name
        for path in paths:
            for samples in File(path, span, options.chosen()[name].where).samples(nodes):
                _sort_in(samples, column, pieces, refused)
    return {node: _series(node, pieces[node], options, refused[node]) for node in nodes}


def _sort_in(
    samples: exadata.Samples,
    column: str,
    pieces: dict[str, dict[str, list[Channel]]],
    refused: dict[str, Counter[str]],
) -> None:
    order = np.argsort(samples.rows.codes, kind="stable")
    ends = np.cumsum(np.bincount(samples.rows.codes, minlength=len(samples.rows.owners)))
    for owner, rows in zip(samples.rows.owners, np.split(order, ends[:-1]), strict=True):
        for fault, reason in enumerate(exadata.FAULTS):
            if count := int((samples.faults[rows] == fault).sum()):
                refused[owner][reason] += count
        kept = rows[(samples.faults[rows] < 0) & ~np.isnan(samples.values[rows])]
        pieces[owner].setdefault(column, []).append((samples.rows.instants[kept], samples.values[kept]))


def _series(node: str, pieces: Mapping[str, list[Channel]], options: Options, refused: Counter[str]) -> UnitSeries:
    channels = {
        column: (np.concatenate([piece[0] for piece in found]), np.concatenate([piece[1] for piece in found]))
        for column, found in pieces.items()
    }
    names = tuple(column.name for column in columns(options.chosen()))
    rack = rack_of(node, nodes_per_rack=options.nodes_per_rack, pattern=options.group_pattern)
    series = joined(unit_of(node), rack, names, channels)
    if series is None:
        raise NoSamplesError(f"{options.path}: no value of node {node!r} is a number; leave it out with `without`")
    return replace(series, quarantined=dict(refused))
