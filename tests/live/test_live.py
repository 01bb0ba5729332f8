"""live: a fleet on a real broker is scored as the batch path scores it, to the bit, and what goes wrong is survived."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from energy.meters.servers import wait
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from raw_rows import store, telemetry
from sources.broker import Broker, Mosquitto
from stages.conftest import SEED, Scorer

from wattline import files, grid, params, splits
from wattline.errors import InputError
from wattline.live import packets
from wattline.live.fleet import Fleet, places
from wattline.live.running import Live, check_origin
from wattline.params import LiveParams, PrepareParams
from wattline.params.stages import WindowParams
from wattline.serving.inference.engine import Engine
from wattline.sources.mqtt import payload
from wattline.sources.mqtt.payload import Sample
from wattline.sources.mqtt.source import Options
from wattline.stages import prepare, train
from wattline.task import Series

ROOT = Path(__file__).parents[2]
STATISTICS = ("avg", "std", "min", "max", "count")
METRICS: dict[str, Any] = {"total_power": {"column": "power", "unit": "W"}, "load": {"unit": "1"}}
PREFIX = "org/cineca/cluster/m100/node/"


def trained(folder: Path, *, seconds: float | None) -> list[Series]:
    """Train a model on windows in `folder`, or on rows at the cadence; gives the telemetry of its five nodes."""
    generator = np.random.default_rng(11)
    units = [telemetry(number, generator) for number in range(5)]
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        store(units, cadence_seconds=20)
        prepare.run(prepare=knobs(seconds), task=Scorer())
        patch.setattr(train.tracking, "log_training", lambda *_, **__: "run")
        train.run(train={}, energy=params.load(ROOT / "params.yaml").block.energy, seed=SEED, task=Scorer())
    return units


def knobs(seconds: float | None) -> PrepareParams:
    window = None if seconds is None else WindowParams(seconds=seconds, statistics=STATISTICS)
    return PrepareParams(windows=window, validation_fraction=0.25, test_fraction=0.4, minimum_rows=20)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Series]]:
    """A model of windows of a minute, and the telemetry it was trained on."""
    folder = tmp_path_factory.mktemp("live")
    return folder, trained(folder, seconds=60.0)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A project whose windows have two seconds."""
    folder = tmp_path / "project"
    folder.mkdir()
    trained(folder, seconds=2.0)
    return folder


@pytest.fixture
def here(project, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Series]]:
    monkeypatch.chdir(project[0])
    return project


def options(broker: str = "mqtt://127.0.0.1:1", **changes: Any) -> Options:
    return Options.model_validate({"broker": broker, "metrics": METRICS, "patience_seconds": 20} | changes)


def messages(units: list[Series], *, shift: int = 0) -> list[tuple[int, str, bytes]]:
    """Every sample as (instant [ns], topic, payload), moved by `shift` [ns], in time order."""
    found = []
    for unit in units:
        for column, metric in enumerate(METRICS):
            topic = f"{PREFIX}{unit.unit}/plugin/ipmi_pub/chnl/data/{metric}"
            for instant, value in zip(unit.timestamps.astype(np.int64).tolist(), unit.values[:, column], strict=True):
                if not np.isnan(value):
                    sample = Sample(float(value), instant + shift)
                    found.append((instant + shift, topic, payload.formatted(sample)))
    return sorted(found)


def test_scores_of_windows_have_the_bits_of_the_batch_path(here):
    assert compared(here[1], seconds=60.0) > 1000


def test_scores_of_rows_at_the_cadence_have_the_bits_of_the_batch_path(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert compared(trained(tmp_path, seconds=None), seconds=None) > 2500


def compared(units: list[Series], *, seconds: float | None) -> int:
    """Answers that came from the stream and are the same in a batch."""
    manifest = splits.read_manifest()
    live = Live.of(files.CANDIDATE, manifest, options(), LiveParams(lateness_seconds=30.0, maximum_units=8))
    stream = messages(units)
    found: dict[tuple[str, int], float] = {}
    for begin in range(0, len(stream), 97):
        chunk = stream[begin : begin + 97]
        data = b"".join(packets.publish(topic.encode(), body) for _, topic, body in chunk)
        now = chunk[-1][0] / 1e9
        live.take(packets.cut(data), now=now)
        for scored in live.close(now):
            for unit, score in zip(scored.units.tolist(), scored.outputs["score"].tolist(), strict=True):
                found[live.unit(unit), scored.timestamp] = score
    engine = Engine(files.CANDIDATE)
    same = 0
    for unit in units:
        rows = prepare.on_axis(_cutting(unit), knobs(seconds))
        batch = engine.predict(rows)["score"]
        for timestamp, score in zip(rows.timestamps.astype(np.int64).tolist(), batch.tolist(), strict=True):
            if (unit.unit, timestamp) in found:
                same += 1
                np.testing.assert_array_equal(found[unit.unit, timestamp], score)
    assert live.fleet.stream.late == 0
    assert live.counts.scores >= same
    return same


def _cutting(unit: Series) -> prepare.Cutting:
    dataset = splits.read_dataset()
    record = next(one for one in dataset.units if one.name == unit.unit)
    return prepare.Cutting(
        unit=record,
        columns=dataset.columns,
        cadence_seconds=dataset.cadence_seconds,
        origin=grid.origin(dataset),
        instants=unit.timestamps[:2],
        left_out=np.zeros(0, dtype=np.int64),
    )


def test_a_unit_that_falls_silent_is_no_longer_answered_for_and_one_that_appears_is(here):
    manifest = splits.read_manifest()
    fleet = Fleet(Engine(files.CANDIDATE), manifest, maximum_units=3)
    known = places(fleet.signature, {"n0": 0, "stranger": 1})
    assert known.tolist() == [0, -1]
    minute = 60 * 10**9
    answered = []
    for step in range(12):
        speaking = [0] if step < 4 else [1]
        channels = np.array([unit * 2 + column for unit in speaking for column in range(2)])
        fleet.stream.feed(channels, np.full(len(channels), step * minute + 5), np.full(len(channels), 1.0 + step))
        answered += [(scored.units.tolist(), scored.silent) for scored in fleet.close((step + 1) * minute, known)]
    assert answered[:4] == [([0], 0)] * 4
    assert answered[4:7] == [([0, 1], 0)] * 3  # four steps still hold what the first one said
    assert answered[7:] == [([1], 1)] * 5


def test_a_flood_fills_no_more_memory_than_was_set_aside(here):
    live = Live.of(files.CANDIDATE, splits.read_manifest(), options(), LiveParams(maximum_units=5, maximum_waiting=100))
    minute = 1_790_000_040
    for message in range(30):
        bodies = [b"%d;%d.%06d" % (message, minute, 10 * message + place) for place in range(10)]
        topic = f"{PREFIX}n0/plugin/ipmi_pub/chnl/data/load".encode()
        live.take(packets.cut(b"".join(packets.publish(topic, body) for body in bodies)), now=minute + 1.0)
    assert (live.fleet.stream.waiting, live.counts.overflowed) == (100, 200)
    assert "beyond live.maximum_waiting 200" in live.line()
    (scored,) = live.close(minute + 100.0)
    assert (scored.units.tolist(), live.fleet.stream.waiting) == ([0], 0)


class TestRefusals:
    def test_a_model_of_other_windows(self, here):
        other = splits.read_manifest().model_copy(update={"cadence_seconds": 300.0})
        with pytest.raises(InputError, match=r"takes 10 columns every 60 s.*has 10 every 300 s; run `dvc repro train`"):
            Live.of(files.CANDIDATE, other, options(), LiveParams())

    def test_a_metric_that_the_model_needs_and_nobody_asks_for(self, here):
        wanted = options(metrics={"load": {"unit": "1"}})
        with pytest.raises(InputError, match="has nothing for column 'power', which the model needs"):
            Live.of(files.CANDIDATE, splits.read_manifest(), wanted, LiveParams())

    def test_a_model_of_other_rows(self, here):
        other = splits.read_manifest().model_copy(update={"data": "0" * 64})
        with pytest.raises(InputError, match="check out the commit of the model"):
            check_origin(files.CANDIDATE, other)


@pytest.fixture
def broker(cache: Path, tmp_path: Path) -> Broker:
    return Mosquitto(cache).broker(tmp_path / "broker", "max_queued_messages 0", "autosave_interval 0")


class Running:
    """`wattline live` as a process."""

    def __init__(self, folder: Path, broker: Broker, *, patience: float = 60.0) -> None:
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        tree["node_anomaly"]["ingest"]["options"]["mqtt"] = {
            "broker": broker.address, "metrics": METRICS, "patience_seconds": patience,
        }  # fmt: skip
        tree["live"] = {"lateness_seconds": 1.0, "report_seconds": 1.0, "org": "here", "cluster": "test"}
        (folder / "params.yaml").write_text(yaml.safe_dump(tree))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTLINE")}
        self.log = folder / "live.log"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "wattline", "live"], cwd=folder, stdout=stream, stderr=stream,
                stdin=subprocess.DEVNULL, env=environment | {"PYTHONPATH": str(ROOT / "src")},
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str) -> None:
        wait(lambda: text in self.said or self.process.poll() is not None, seconds=90)
        assert text in self.said, self.said


@contextlib.contextmanager
def client(broker: Broker, received: list[tuple[str, bytes]]) -> Iterator[paho.Client]:
    """Somebody else on the broker, who hears what Wattline publishes."""
    found = paho.Client(CallbackAPIVersion.VERSION2)
    found.on_message = lambda _, __, message: received.append((message.topic, message.payload))
    found.on_connect = lambda *_: found.subscribe("org/here/#")
    found.reconnect_delay_set(1, 1)
    found.connect("127.0.0.1", broker.port)
    found.loop_start()
    try:
        yield found
    finally:
        found.disconnect()
        found.loop_stop()


def test_a_real_broker_gets_a_score_for_every_node_also_after_it_was_gone(quick: Path, broker: Broker):
    received: list[tuple[str, bytes]] = []
    running = None
    try:
        with broker.running():
            running = Running(quick, broker)
            running.says("listening to")
            with client(broker, received) as other:
                wait(lambda: answered(other, received, value=100.0), seconds=90)
        found = dict(received)
        score = found["org/here/cluster/test/node/n3/plugin/wattline_pub/chnl/data/score"]
        assert np.isfinite(payload.parsed(score).value)
        running.says("connection lost")
        received.clear()
        with broker.running(), client(broker, received) as other:
            wait(lambda: answered(other, received, value=200.0), seconds=90)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(60) == 0, running.said
    finally:
        if running is not None:
            running.process.kill()
            running.process.wait()
    assert "told to end" in running.said
    assert "Traceback" not in running.said
    assert " samples of 5 units" in running.said.splitlines()[-1]


def answered(other: paho.Client, received: list[tuple[str, bytes]], *, value: float) -> bool:
    """Let every node say something of now; whether all of them have been answered."""
    for unit in range(5):
        for metric in METRICS:
            topic = f"{PREFIX}n{unit}/plugin/ipmi_pub/chnl/data/{metric}"
            other.publish(topic, payload.formatted(Sample(value + unit, time.time_ns())))
    time.sleep(0.3)
    return {topic.split("/")[5] for topic, _ in list(received) if topic.endswith("/score")} == {
        f"n{unit}" for unit in range(5)
    }


def test_a_broker_that_is_not_there_is_one_sentence(quick: Path, broker: Broker):
    running = Running(quick, broker, patience=0.5)
    assert running.process.wait(90) == 2, running.said
    assert "cannot be reached" in running.said
    assert "Traceback" not in running.said
