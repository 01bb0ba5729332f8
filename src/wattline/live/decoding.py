"""Messages as numbers: which channel of the fleet, when, how much; and what is not taken, with the reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattline.live.packets import Cut
from wattline.sources.epochs import AHEAD, AHEAD_SECONDS, EARLIEST_SECONDS
from wattline.sources.mqtt import payload
from wattline.sources.mqtt.listening import route_of

UNASKED, REFUSED = -1, -2
MOST_UNKNOWN = 200_000
"""Topics without a channel that are kept in mind: more are read again each time, so that a flood fills no memory."""
TOPICS_OF_A_CHANNEL = 2
"""Topics that are kept in mind, on average: with more, all are forgotten and read again."""
LONGEST_TOPIC = 1_000
"""[bytes] Those of ExaMon have some hundred; MQTT allows 65,535, and what is kept in mind must fit into memory."""
MICROSECOND = 1_000
LARGEST = float(np.finfo(np.float32).max)


class Samples(NamedTuple):
    """channels: (samples,) unit index * columns + column index; instants: ns since 1970; values: as float32."""

    channels: NDArray[np.int64]
    instants: NDArray[np.int64]
    values: NDArray[np.float32]


class Decoder:
    """Reads messages of a fleet whose units become known as they speak.

    metrics: channel of a topic (`Topic.channel`) -> column
    columns: in the order of the channels
    unit_tag: key of the topic whose value names the unit
    maximum_units: so many are scored; samples of further ones are counted
    refused: reason -> count of messages that should have been samples
    unasked: messages of other metrics
    """

    def __init__(
        self, metrics: Mapping[str, str], columns: Sequence[str], *, unit_tag: str, maximum_units: int
    ) -> None:
        self.units: dict[str, int] = {}
        self.refused: Counter[str] = Counter()
        self.unasked = 0
        self.taken = 0
        self._metrics, self._unit_tag = metrics, unit_tag
        self._columns = {column: place for place, column in enumerate(columns)}
        self._maximum_units = maximum_units
        self._most_topics = TOPICS_OF_A_CHANNEL * maximum_units * len(columns)
        self._channels: dict[bytes, int] = {}
        self._reasons: dict[bytes, str] = {}

    def decode(self, found: Cut, *, now: float) -> Samples:
        """Samples of messages that arrived at `now` [s since 1970], in the order of arrival."""
        channels = self._places(found.topics)
        channels[found.retained] = REFUSED
        self.refused["kept by the broker from before"] += len(found.retained)
        wanted = channels >= 0
        bodies = found.payloads
        if not wanted.all():
            bodies = [body for body, kept in zip(bodies, wanted.tolist(), strict=True) if kept]
            channels = channels[wanted]
        instants, values, understood = self._numbers(bodies, now=now)
        kept = understood & self._plausible(instants, understood, now=now) & self._fits(values, understood)
        self.taken += int(kept.sum())
        return Samples(channels[kept], instants[kept], values[kept].astype(np.float32))

    def _places(self, names: list[bytes]) -> NDArray[np.int64]:
        try:
            return np.array(list(map(self._channels.__getitem__, names)), dtype=np.int64)
        except KeyError:
            places = [self._place(name) for name in names]
            self.unasked += places.count(UNASKED)
            return np.array(places, dtype=np.int64)

    def _place(self, name: bytes) -> int:
        """Of one topic; it is read when it comes for the first time."""
        known = self._channels.get(name)
        if known is not None:
            return known
        if len(name) > LONGEST_TOPIC:
            self.refused[f"topic: longer than {LONGEST_TOPIC} bytes"] += 1
            return REFUSED
        reason = self._reasons.get(name)
        found = self._read(name) if reason is None else reason
        if isinstance(found, int) and found >= 0:
            if len(self._channels) >= self._most_topics:  # a tag has another value in every message
                self._channels.clear()
            self._channels[name] = found
            return found
        if len(self._reasons) < MOST_UNKNOWN:
            self._reasons[name] = found if isinstance(found, str) else ""
        if not isinstance(found, str) or not found:
            return UNASKED
        self.refused[found] += 1
        return REFUSED

    def _read(self, name: bytes) -> int | str:
        """The channel; or why there is none; UNASKED for a metric that nobody asked for."""
        try:
            route = route_of(name.decode(), self._metrics, unit_tag=self._unit_tag)
        except UnicodeDecodeError:
            return "topic: no UTF-8"
        if route is None or isinstance(route, str):
            return UNASKED if route is None else route
        unit, column = route
        if unit not in self.units:
            if len(self.units) >= self._maximum_units:
                return "beyond live.maximum_units"
            self.units[unit] = len(self.units)
        return self.units[unit] * len(self._columns) + self._columns[column]

    def _numbers(
        self, bodies: list[bytes], *, now: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
        """Instants [ns] and values of payloads, and which of them are `value;seconds`."""
        if not bodies:
            return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=bool)
        table = _table(bodies)
        if table is None:
            return self._one_by_one(bodies, now=now)
        values, seconds = table
        # A double has seconds of today to a quarter of a microsecond: so whole microseconds come out exactly.
        instants = np.round(seconds * 1e6).astype(np.int64) * MICROSECOND
        return instants, values, np.ones(len(values), dtype=bool)

    def _one_by_one(
        self, bodies: list[bytes], *, now: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
        """The same where something is odd."""
        instants, values = np.zeros(len(bodies), dtype=np.int64), np.zeros(len(bodies))
        understood = np.zeros(len(bodies), dtype=bool)
        for place, body in enumerate(bodies):
            try:
                sample = payload.parsed(body)
            except payload.PayloadError as error:
                self.refused[error.reason] += 1
                continue
            if doubt := payload.doubt(sample.instant, now=now):  # it may be far beyond int64
                self.refused[doubt] += 1
                continue
            values[place], understood[place] = sample.value, True
            instants[place] = (sample.instant + MICROSECOND // 2) // MICROSECOND * MICROSECOND
        return instants, values, understood

    def _plausible(
        self, instants: NDArray[np.int64], understood: NDArray[np.bool_], *, now: float
    ) -> NDArray[np.bool_]:
        earliest, latest = EARLIEST_SECONDS * payload.NANOSECONDS, round((now + AHEAD_SECONDS) * 1e9)
        possible = (instants >= earliest) & (instants <= latest)
        for instant in instants[understood & ~possible].tolist():
            self.refused[payload.doubt(instant, now=now) or AHEAD] += 1
        return possible

    def _fits(self, values: NDArray[np.float64], understood: NDArray[np.bool_]) -> NDArray[np.bool_]:
        fits = np.abs(values) <= LARGEST
        self.refused["the value does not fit in 32 bits"] += int((understood & ~fits).sum())
        return fits


def _table(bodies: list[bytes]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Values and seconds of payloads, all at once; None where one of them is not plainly two finite numbers."""
    import pyarrow
    from pyarrow import csv

    try:
        table = csv.read_csv(
            pyarrow.py_buffer(b"\n".join(bodies)),
            read_options=csv.ReadOptions(column_names=["value", "seconds"], use_threads=False, block_size=1 << 24),
            parse_options=csv.ParseOptions(delimiter=";", quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types={"value": pyarrow.float64(), "seconds": pyarrow.float64()}, null_values=[]
            ),
        )
    except pyarrow.ArrowInvalid:
        return None
    if table.num_rows != len(bodies) or table["value"].null_count or table["seconds"].null_count:
        return None
    values, seconds = table["value"].to_numpy(), table["seconds"].to_numpy()
    if not (np.isfinite(values).all() and (np.abs(seconds) < 2**53 / 1e6).all()):
        return None
    return values, seconds
