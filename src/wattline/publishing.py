"""Predictions, sent back to the monitoring system that the samples came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattline import params, predictions
from wattline.errors import InputError
from wattline.settings import Settings, settings
from wattline.sources.mqtt import address, payload, topics
from wattline.sources.mqtt.address import Address
from wattline.sources.mqtt.payload import Sample
from wattline.sources.timestamps import instants

if TYPE_CHECKING:
    import pyarrow

PLUGIN = "wattline_pub"
AT_ONCE = 1000
"""Messages that are sent before the first has to be acknowledged."""
ANSWERED = ("score", "threshold", "alarm")
"""Of the log of answers, what is published; besides the version of the model, where it is a number."""


class Message(NamedTuple):
    """One sample of one metric of one unit."""

    unit: str
    metric: str
    sample: Sample


@dataclass(frozen=True)
class Target:
    """Where predictions go.

    broker: mqtt://HOST:1883, or mqtts://HOST:8883 with TLS
    tags: further pairs, between `chnl/data` and the metric
    patience_seconds: how long the broker may take for an answer [s]
    """

    broker: str
    org: str
    cluster: str
    plugin: str = PLUGIN
    tags: Mapping[str, str] = field(default_factory=dict)
    patience_seconds: float = 30.0

    @property
    def place(self) -> Address:
        """Raises InputError for what is no broker's address."""
        return address.parsed(self.broker)

    def topic(self, unit: str, metric: str) -> str:
        """Raises InputError for names that make no topic."""
        found = topics.examon(
            self.tags, org=self.org, cluster=self.cluster, node=unit, plugin=self.plugin, metric=metric
        )
        return topics.formatted(found)


def tags(texts: list[str]) -> dict[str, str]:
    """Read `key=value` of the command line. Raises InputError."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value) or key in found:
            raise InputError(f"--tag {text!r} is no new key=value; write e.g. --tag model=autoencoder")
        found[key] = value
    return found


def found(
    *, answers: Path | None, scores: Path | None, since: datetime | None, until: datetime | None
) -> Iterator[Message]:
    """What is asked for on the command line: a table of scores, a log of answers, or the log that params.yaml names."""
    if scores is not None:
        if answers is not None:
            raise InputError("--answers and --scores are both given; give one of them")
        return of_table(scores, since=since, until=until)
    if answers is None:
        folder = params.load().serving.log.folder
        if not folder:
            raise InputError("serving.log.folder is empty, so no answer is written down; set it, or give --scores")
        answers = settings().served / folder
    return of_answers(answers, since=since, until=until)


def publish(messages: Iterator[Message], to: Target, environment: Settings) -> int:
    """Send each message with QoS 1, and wait until the broker has acknowledged every one. Returns how many.

    Topics are written before anything is sent, so that a bad name sends nothing. A connection that breaks is renewed,
    and what was not acknowledged is sent again; a sample that arrives twice is the same sample.
    Raises InputError when the broker cannot be reached, does not acknowledge, or refuses.
    """
    # Only here: paho is for those who publish.
    from wattline.sources.mqtt.connection import connected

    place = to.place
    written = [(to.topic(message.unit, message.metric), payload.formatted(message.sample)) for message in messages]
    if not written:
        return 0
    with connected(place, environment, patience_seconds=to.patience_seconds) as connection:
        for start in range(0, len(written), AT_ONCE):
            for topic, body in written[start : start + AT_ONCE]:
                connection.publish(topic, body)
            connection.settle()
    return len(written)


def of_answers(folder: Path, *, since: datetime | None, until: datetime | None) -> Iterator[Message]:
    """Score, threshold, alarm (0 or 1) and model version of each answer in the server's log, stamped when given.

    Answers without a unit, and those of a shadow, which nobody was told, are left out.
    Raises InputError when the folder is no log of answers.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is missing, the server's log of answers; name it with --answers")
    table = predictions.read(folder, start=since, end=until)
    for row in table.select(["unit", "answered_at", "role", "version", *ANSWERED]).to_pylist():
        if row["unit"] is None or row["role"] == "shadow":
            continue
        instant = _nanoseconds(row["answered_at"])
        for metric in ANSWERED:
            if row[metric] is not None and np.isfinite(row[metric]):
                yield Message(row["unit"], metric, Sample(float(row[metric]), instant))
        if row["version"] is not None and row["version"].isascii() and row["version"].isdigit():
            yield Message(row["unit"], "model_version", Sample(float(row["version"]), instant))


def of_table(path: Path, *, since: datetime | None, until: datetime | None) -> Iterator[Message]:
    """Every number in a Parquet file of columns `unit`, `timestamp` (UTC) and one for each metric.

    Empty cells and NaN are left out. Raises InputError naming file and column.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is no table of scores: {str(error).splitlines()[0]}; give a Parquet file") from None
    for name in ("unit", "timestamp"):
        if name not in table.column_names:
            raise InputError(f"{path} has no column {name!r}; it has {', '.join(table.column_names)}; add or rename it")
    if not len(table):
        return
    times = instants(table["timestamp"], "timestamp", timezone=None, where=str(path)).astype(np.int64)
    wanted = np.ones(len(times), dtype=bool)
    if since is not None:
        wanted &= times >= _nanoseconds(since)
    if until is not None:
        wanted &= times < _nanoseconds(until)
    units = table["unit"].to_pylist()
    columns = {
        name: _numbers(table[name], name, path) for name in table.column_names if name not in ("unit", "timestamp")
    }
    if not columns:
        raise InputError(f"{path} has no column besides unit and timestamp; add one for each metric")
    for row in np.flatnonzero(wanted).tolist():
        if units[row] is None:
            raise InputError(f"{path}: row {row} names no unit; fill or remove it")
        for name, values in columns.items():
            if np.isfinite(values[row]):
                yield Message(str(units[row]), name, Sample(float(values[row]), int(times[row])))


def _numbers(column: "pyarrow.ChunkedArray", name: str, path: Path) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_boolean(kind):
        column = column.cast(pyarrow.int8())
    elif not (types.is_integer(kind) or types.is_floating(kind)):
        raise InputError(f"{path}: column {name!r} is {kind}, no number; remove it or write numbers")
    return np.asarray(column.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=np.float64)


def _nanoseconds(instant: datetime) -> int:
    whole = int(instant.timestamp() // 1)
    return whole * payload.NANOSECONDS + instant.microsecond * 1000
