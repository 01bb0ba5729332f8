"""Values of expressions over Prometheus' series, at multiples of a cadence."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wattline.errors import InputError
from wattline.progress import progress
from wattline.settings import settings
from wattline.sources.channels import Channel
from wattline.sources.leftovers import handed_on, rows
from wattline.sources.metrics import columns, group_of
from wattline.sources.prometheus.answer import Samples
from wattline.sources.prometheus.options import Options
from wattline.sources.prometheus.server import Server
from wattline.sources.source import Source, UnitSeries
from wattline.sources.span import Span


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Say what is asked for. Prometheus is asked when the units are read."""
    span = options.span(datetime.now(UTC))
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=columns(options.expressions()),
        labelled=False,
        units=_Asking(options, span),
        notes=(
            f"values from {span.start.isoformat()} until before {span.end.isoformat()}",
            *(f"{column} is {query}" for column, query in options.queries().items()),
        ),
    )


@dataclass
class _Taken:
    """What was taken so far: unit -> column -> pieces, in the order of time; racks, refusals and a count beside."""

    channels: dict[str, dict[str, list[Channel]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    count: int = 0

    def take(self, column: str, found: Samples) -> None:
        for unit, channel in found.channels.items():
            self.channels.setdefault(unit, {}).setdefault(column, []).append(channel)
            self.count += len(channel[0])
        for unit, refused in found.refused.items():
            self.refused.setdefault(unit, Counter()).update(refused)
        self.groups |= found.groups


@dataclass(frozen=True)
class _Asking:
    """Asks whenever it is gone through."""

    options: Options
    span: Span

    def __iter__(self) -> Iterator[UnitSeries]:
        left_over: Counter[str] = Counter()
        asked = f"{self.options.url} from {self.span.start.isoformat()} until before {self.span.end.isoformat()}"
        remedy = f"check {', '.join(self.options.queries())} in a browser, or choose another span"
        return handed_on(_units(self.options, self.span, left_over), left_over, asked=asked, remedy=remedy)


def _units(options: Options, span: Span, left_over: Counter[str]) -> Iterator[UnitSeries]:
    """Rows of each unit that has enough. What was not taken goes with its unit, or else into `left_over`."""
    taken = _taken(options, span)
    names = [column.name for column in columns(options.expressions())]
    for name in sorted(taken.refused.keys() | taken.channels.keys()):
        unit = rows(
            name,
            taken.groups.get(name) or group_of(name, options.group_pattern),
            names,
            taken.channels.pop(name, {}),
            refused=taken.refused[name],
            minimum_rows=options.minimum_rows,
            left_over=left_over,
        )
        if unit is not None:
            yield unit


def _taken(options: Options, span: Span) -> _Taken:
    """Everything that Prometheus has. Raises InputError where that is more than is held in memory."""
    taken = _Taken()
    queries = options.queries()
    step = options.step
    with Server(options, settings()) as server, progress("prometheus") as report:
        start, end = (round(moment.timestamp() * 1000) for moment in span)
        first, last = -(-start // step) * step, min(end - 1, int(server.clock() * 1000)) // step * step
        for place, (column, query) in enumerate(queries.items()):
            for found in server.samples(column, query, first=first, last=last):
                taken.take(column, found)
                if taken.count > options.maximum_samples:
                    raise InputError(
                        f"{options.url} has more than {options.maximum_samples} samples in that span; take a snapshot, "
                        "which asks page by page, or raise `maximum_samples`"
                    )
            report(column, (place + 1) / len(queries), {"samples": taken.count})
    return taken
