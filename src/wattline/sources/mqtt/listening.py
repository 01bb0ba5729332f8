"""What a broker sends for a while, sorted by unit and column."""

import time
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wattline.errors import InputError
from wattline.progress import progress
from wattline.settings import Settings
from wattline.sources.checks import UNIT_NAME
from wattline.sources.mqtt import payload, topics
from wattline.sources.mqtt.address import Address
from wattline.sources.mqtt.connection import Connection, connected

LARGEST = float(np.finfo(np.float32).max)
MOST_ROUTES = 200_000
"""Topics that are kept in mind: more are read again each time, so that a flood of them fills no memory."""


@dataclass
class Arrivals:
    """Samples of one column of one unit in the order of arrival: instants [ns since 1970, UTC] and values."""

    instants: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def channel(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return np.array(self.instants, dtype=np.int64), np.array(self.values, dtype=np.float64)


class Collector:
    """Takes messages, and says why it did not take others.

    columns: channel of a topic (`Topic.channel`) -> column
    unit_tag: key of the topic whose value names the unit
    maximum_samples: more are counted and let go
    """

    def __init__(self, columns: dict[str, str], *, unit_tag: str, maximum_samples: int) -> None:
        self._columns = columns
        self._unit_tag = unit_tag
        self._left = maximum_samples
        self._routes: dict[str, tuple[str, str] | str | None] = {}
        self.units: dict[str, dict[str, Arrivals]] = {}
        self.refused: Counter[str] = Counter()
        self.refused_of: dict[str, Counter[str]] = {}
        self.taken = 0
        self.unasked = 0

    def take(self, topic: str, body: bytes, retained: bool, *, now: float) -> None:
        """One message that arrived at `now` [s since 1970]."""
        route = self._route(topic)
        if route is None:
            self.unasked += 1
        elif isinstance(route, str):
            self.refused[route] += 1
        elif reason := self._refusal(body, retained, now, route):
            self.refused_of.setdefault(route[0], Counter())[reason] += 1

    def _refusal(self, body: bytes, retained: bool, now: float, route: tuple[str, str]) -> str | None:
        """Keep the sample, or say why not."""
        if retained:
            return "kept by the broker from before"
        try:
            sample = payload.parsed(body)
        except payload.PayloadError as error:
            return error.reason
        if abs(sample.value) > LARGEST:
            return "the value does not fit in 32 bits"
        if reason := payload.doubt(sample.instant, now=now):
            return reason
        if not self._left:
            return "beyond maximum_samples"
        self._left -= 1
        self.taken += 1
        unit, column = route
        arrivals = self.units.setdefault(unit, {}).setdefault(column, Arrivals())
        arrivals.instants.append(sample.instant)
        arrivals.values.append(sample.value)
        return None

    def _route(self, text: str) -> tuple[str, str] | str | None:
        """Unit and column of a topic; or why it has none; or None for a metric that nobody asked for."""
        if text in self._routes:
            return self._routes[text]
        found = route_of(text, self._columns, unit_tag=self._unit_tag)
        if len(self._routes) < MOST_ROUTES:
            self._routes[text] = found
        return found


def route_of(text: str, columns: Mapping[str, str], *, unit_tag: str) -> tuple[str, str] | str | None:
    """Unit and column of a topic; or why it has none; or None for a metric that nobody asked for.

    columns: channel of a topic (`Topic.channel`) -> column
    unit_tag: key of the topic whose value names the unit
    """
    try:
        topic = topics.parsed(text)
    except topics.TopicError as error:
        return f"topic: {error.reason}"
    column = columns.get(topic.channel)
    if column is None:
        return None
    unit = topic.tags.get(unit_tag)
    if unit is None:
        return f"topic: no tag {unit_tag}"
    if not UNIT_NAME.fullmatch(unit):
        return "topic: the unit's name cannot be a file name"
    return unit, column


def listen(
    place: Address, settings: Settings, filters: tuple[str, ...], *, into: Collector, seconds: float, patience: float
) -> None:
    """Hand everything that matches `filters` to `into` for `seconds`.

    A broker that goes away is sought again; what was sent meanwhile is kept by it, or missing.
    patience: how long it may take for an answer, and be away at the end [s]
    Raises InputError as `connected` does, and when the broker is away at the end.
    """

    def receive(topic: str, body: bytes, retained: bool) -> None:
        into.take(topic, body, retained, now=time.time())

    with connected(place, settings, patience_seconds=patience) as connection, progress("mqtt") as report:
        connection.subscribe(filters, receive)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            connection.check()
            report("listening", passed / seconds, {"samples": into.taken})
            time.sleep(min(0.5, seconds - passed))
        await_return(connection, patience=patience)


def await_return(connection: Connection, *, patience: float) -> None:
    """Until the broker is there. Raises InputError when it is away for longer than `patience` [s]."""
    since = time.monotonic()
    while not connection.is_up:
        if time.monotonic() - since > patience:
            raise InputError(
                f"{connection.place} went away while we listened, and did not come back within {patience:g} s; nothing "
                "was kept: start the broker and listen again"
            )
        time.sleep(0.1)
