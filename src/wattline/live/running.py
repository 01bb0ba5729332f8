"""Listen, decode, score, publish: until somebody says that it is enough."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wattline import files, publishing, splits
from wattline.errors import InputError
from wattline.interruption import Say, ended_by_sigterm
from wattline.live.decoding import Decoder, Samples
from wattline.live.fleet import Fleet, Scored, places
from wattline.live.packets import Cut
from wattline.live.subscriber import Subscriber, subscribed
from wattline.params import LiveParams
from wattline.records import Manifest
from wattline.serving.inference import contents
from wattline.serving.inference.engine import Engine
from wattline.settings import settings
from wattline.sources.mqtt import address, payload
from wattline.sources.mqtt.connection import Connection, connected
from wattline.sources.mqtt.payload import Sample
from wattline.sources.mqtt.source import Options

LOOK_SECONDS = 0.2
SENT = ("score", "threshold")
"""Outputs of the graph that are sent; besides `alarm`, 1 where the score is above the threshold."""


@dataclass
class Counts:
    """What was done.

    rows: of all units that were scored; scores: answers; alarms: answers above their threshold
    silent: units without samples at the last row
    overflowed: samples that were left out because too many were waiting
    lag_seconds: from the timestamp of the last row to its last answer [s]
    """

    rows: int = 0
    scores: int = 0
    alarms: int = 0
    sent: int = 0
    silent: int = 0
    overflowed: int = 0
    lag_seconds: float = 0.0


@dataclass
class Live:
    """One fleet, its model and what has happened so far."""

    decoder: Decoder
    fleet: Fleet
    params: LiveParams
    names: dict[int, str] = field(default_factory=dict)
    known: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def of(cls, model: Path, manifest: Manifest, options: Options, live: LiveParams) -> "Live":
        """Raises InputError when model, rows and source do not fit together."""
        engine = Engine.loaded(contents.read(model), threads=1, device="cpu")
        _check(engine, manifest)
        columns = [column.name for column in manifest.raw_columns]
        metrics = {name: metric.column or name for name, metric in options.metrics.items()}
        if missing := [column for column in columns if column not in metrics.values()]:
            raise InputError(
                f"ingest.options.mqtt.metrics has nothing for column {missing[0]!r}, which the model needs; add the "
                "metric that becomes it"
            )
        asked = {name: column for name, column in metrics.items() if column in columns}
        decoder = Decoder(asked, columns, unit_tag=options.unit_tag, maximum_units=live.maximum_units)
        return cls(decoder, Fleet(engine, manifest, maximum_units=live.maximum_units), live)

    def take(self, found: Cut, *, now: float) -> None:
        """Samples of messages that arrived at `now` [s since 1970]."""
        samples = self.decoder.decode(found, now=now)
        room = max(0, self.params.maximum_waiting - self.fleet.stream.waiting)
        self.counts.overflowed += max(0, len(samples.instants) - room)
        self.fleet.feed(Samples(samples.channels[:room], samples.instants[:room], samples.values[:room]))

    def close(self, now: float) -> Iterator[Scored]:
        """Answers for every row that may be closed at `now` [s since 1970]."""
        if len(self.known) < len(self.decoder.units):
            self.known = places(self.fleet.signature, self.decoder.units)
        for scored in self.fleet.close(round((now - self.params.lateness_seconds) * 1e9), self.known):
            self._count(scored)
            yield scored

    def unit(self, place: int) -> str:
        """Name of the unit at a place."""
        if len(self.names) < len(self.decoder.units):
            self.names = {index: name for name, index in self.decoder.units.items()}
        return self.names[place]

    def _count(self, scored: Scored) -> None:
        counts = self.counts
        counts.rows += 1
        counts.scores += len(scored.units)
        counts.alarms += int(alarms(scored).sum())
        counts.silent = scored.silent
        counts.lag_seconds = time.time() - scored.timestamp / 1e9

    def line(self) -> str:
        """What happened so far, for people."""
        refused = +Counter(self.decoder.refused | {"beyond live.maximum_waiting": self.counts.overflowed})
        told = f"; not taken: {', '.join(f'{reason} {count:,}' for reason, count in refused.most_common(4))}"
        counts, late = self.counts, self.fleet.stream.late
        return (
            f"{self.decoder.taken:,} samples of {len(self.decoder.units):,} units, {late:,} too late; "
            f"{counts.rows:,} rows, {counts.scores:,} scores, {counts.alarms:,} alarms, {counts.silent:,} units "
            f"silent; the last answer {counts.lag_seconds:.1f} s after its row" + told * bool(refused)
        )


def alarms(scored: Scored) -> NDArray[np.bool_]:
    """Whether each answer is above its threshold; none is, where the model has no threshold."""
    if "threshold" not in scored.outputs:
        return np.zeros(len(scored.units), dtype=bool)
    return np.asarray(scored.outputs["score"] > scored.outputs["threshold"])


def run(model: Path, options: Options, live: LiveParams, *, seconds: float | None, say: Say) -> Live:
    """Score every unit at every row until SIGTERM, Ctrl-C or, where they are given, `seconds` have passed.

    Raises InputError when model and samples do not fit together, and when the broker is away for too long.
    """
    manifest = splits.read_manifest()
    check_origin(model, manifest)
    found = Live.of(model, manifest, options, live)
    place = address.parsed(options.broker)
    patience = options.patience_seconds
    deadline = None if seconds is None else time.monotonic() + seconds
    with ended_by_sigterm(), _target(options, live) as target:
        try:
            with subscribed(place, settings(), options.filters(), patience_seconds=patience) as subscriber:
                say(f"listening to {place}: {', '.join(options.filters())}")
                _listen(found, subscriber, target, deadline=deadline, say=say)
        except (KeyboardInterrupt, SystemExit):
            say("told to end")
        finally:
            say(found.line())
    return found


def check_origin(model: Path, manifest: Manifest) -> None:
    """Raise InputError where the model was trained on other rows than the manifest describes."""
    candidate = contents.read(model).candidate
    if candidate.data != manifest.data:
        raise InputError(
            f"{model} was trained on dataset {candidate.data[:12]}, and {files.PREPARED} is of {manifest.data[:12]}; "
            "check out the commit of the model"
        )


def _check(engine: Engine, manifest: Manifest) -> None:
    signature = engine.signature
    if (signature.cadence_seconds, signature.columns) != (manifest.cadence_seconds, manifest.columns):
        raise InputError(
            f"the model takes {len(signature.columns)} columns every {signature.cadence_seconds:g} s, and "
            f"{files.PREPARED} has {len(manifest.columns)} every {manifest.cadence_seconds:g} s; run `dvc repro train`"
        )
    names = [output.name for output in engine.signature.outputs]
    if "score" not in names:
        raise InputError(f"the model has no output `score`; it has {', '.join(names)}")


Target = tuple[Connection, publishing.Target] | None


@contextmanager
def _target(options: Options, live: LiveParams) -> Iterator[Target]:
    """Where scores go."""
    if not (live.org and live.cluster):
        yield None
        return
    place = address.parsed(options.broker)
    with connected(place, settings(), patience_seconds=options.patience_seconds) as connection:
        yield connection, publishing.Target(options.broker, live.org, live.cluster)


def _listen(live: Live, subscriber: Subscriber, target: Target, *, deadline: float | None, say: Say) -> None:
    told = time.monotonic()
    while deadline is None or time.monotonic() < deadline:
        for found in subscriber.messages(within_seconds=LOOK_SECONDS):
            live.take(found, now=time.time())
        for scored in live.close(time.time()):
            if target is not None:
                _send(live, scored, target)
        if time.monotonic() - told >= live.params.report_seconds:
            told = time.monotonic()
            say(live.line())


def _send(live: Live, scored: Scored, target: tuple[Connection, publishing.Target]) -> None:
    """Send the answers of one row, and wait until the broker has them."""
    connection, place = target
    rows = {name: scored.outputs[name] for name in SENT if name in scored.outputs} | {"alarm": alarms(scored)}
    for row, unit in enumerate(scored.units.tolist()):
        for metric, values in rows.items():
            value = float(values[row])
            if np.isfinite(value):
                topic = place.topic(live.unit(unit), metric)
                connection.publish(topic, payload.formatted(Sample(value, scored.timestamp)))
                live.counts.sent += 1
    connection.settle()
