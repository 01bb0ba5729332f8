"""What `wattline publish` sends: every prediction that somebody was told, each once, each acknowledged."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from energy.meters.servers import wait
from typer.testing import CliRunner

from sources.broker import Broker, Mosquitto
from wattline import predictions, publishing
from wattline.cli import app
from wattline.errors import InputError
from wattline.publishing import Message, Target
from wattline.settings import Settings
from wattline.sources.mqtt import address
from wattline.sources.mqtt.connection import connected
from wattline.sources.mqtt.payload import Sample

FIRST = datetime(2026, 1, 5, 23, 59, 59, 123456, tzinfo=UTC)
NANOSECONDS = 1_767_657_599_123_456_000
PREFIX = "org/cineca/cluster/m100/node/"


@pytest.fixture(scope="module")
def broker(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    found = Mosquitto(cache).broker(tmp_path_factory.mktemp("broker"))
    with found.running():
        yield found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four answers of two days: of a shadow, without a unit, without a score, and good ones."""
    folder = tmp_path / "predictions"
    good = {
        "id": "1", "answered_at": FIRST, "unit": "r205n01", "input_sha256": "", "score": 0.1, "threshold": 0.25,
        "alarm": False, "model": "m", "version": "7", "digest": "", "route": "/predict", "principal": "p",
        "role": "stable",
    }  # fmt: skip
    rows = [
        good,
        good | {"id": "1", "role": "shadow"},
        good | {"id": "2", "unit": None},
        good | {"id": "3", "score": float("nan"), "threshold": None, "alarm": None, "version": None},
        good | {"id": "4", "unit": "n 2", "answered_at": FIRST + timedelta(seconds=1), "score": 1 / 3, "alarm": True},
    ]
    schema = predictions.schema(predictions.ANSWERS)
    for day in {row["answered_at"].date() for row in rows}:
        partition = folder / f"date={day}"
        partition.mkdir(parents=True)
        mine = [row for row in rows if row["answered_at"].date() == day]
        pq.write_table(pa.Table.from_pylist(mine, schema=schema), partition / "a.parquet")
    return folder


def test_every_answer_becomes_samples_of_its_node(log: Path) -> None:
    found = list(publishing.of_answers(log, since=None, until=None))
    later = NANOSECONDS + 10**9
    assert found == [
        Message("r205n01", "score", Sample(0.1, NANOSECONDS)),
        Message("r205n01", "threshold", Sample(0.25, NANOSECONDS)),
        Message("r205n01", "alarm", Sample(0.0, NANOSECONDS)),
        Message("r205n01", "model_version", Sample(7.0, NANOSECONDS)),
        Message("n 2", "score", Sample(1 / 3, later)),
        Message("n 2", "threshold", Sample(0.25, later)),
        Message("n 2", "alarm", Sample(1.0, later)),
        Message("n 2", "model_version", Sample(7.0, later)),
    ]
    assert list(publishing.of_answers(log, since=FIRST + timedelta(seconds=1), until=None)) == found[4:]
    assert list(publishing.of_answers(log, since=None, until=FIRST)) == []


def test_every_number_of_a_table_is_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    times = pd.to_datetime([NANOSECONDS + 1, NANOSECONDS + 2, NANOSECONDS + 3], utc=True)
    frame = pd.DataFrame({"unit": ["a", "b", "a"], "timestamp": times, "score": [0.1, np.nan, 3.0]})
    frame["alarm"] = [True, False, True]
    frame.to_parquet(path)
    assert list(publishing.of_table(path, since=None, until=None)) == [
        Message("a", "score", Sample(0.1, NANOSECONDS + 1)),
        Message("a", "alarm", Sample(1.0, NANOSECONDS + 1)),
        Message("b", "alarm", Sample(0.0, NANOSECONDS + 2)),
        Message("a", "score", Sample(3.0, NANOSECONDS + 3)),
        Message("a", "alarm", Sample(1.0, NANOSECONDS + 3)),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="unit"), "no column 'unit'"),
        (lambda frame: frame.drop(columns="score"), "no column besides unit and timestamp"),
        (lambda frame: frame.assign(score="high"), "column 'score' is .*string, no number"),
        (lambda frame: frame.assign(unit=None), "row 0 names no unit"),
        (lambda frame: frame.assign(timestamp=pd.Timestamp("2026-01-01")), "has no time zone"),
    ],
)
def test_a_table_that_cannot_be_sent_is_named(tmp_path: Path, change: object, words: str) -> None:
    path = tmp_path / "scores.parquet"
    frame = pd.DataFrame({"unit": ["a"], "timestamp": [pd.Timestamp("2026-01-01", tz="UTC")], "score": [1.0]})
    change(frame).to_parquet(path)
    with pytest.raises(InputError, match=words):
        list(publishing.of_table(path, since=None, until=None))


def test_a_bad_name_sends_nothing(broker: Broker) -> None:
    target = Target(broker.address, "cineca", "m100")
    messages = [Message("a", "score", Sample(1.0, 1)), Message("", "score", Sample(1.0, 1))]
    with heard(broker) as bodies, pytest.raises(InputError, match="is empty"):
        publishing.publish(iter(messages), target, Settings())
    assert bodies == {}


class heard:  # noqa: N801
    """Topic -> payload of what is sent below org/cineca meanwhile."""

    def __init__(self, broker: Broker) -> None:
        self._context = connected(address.parsed(broker.address), Settings(), patience_seconds=60)
        self.bodies: dict[str, bytes] = {}

    def __enter__(self) -> dict[str, bytes]:
        connection = self._context.__enter__()
        connection.subscribe(("org/cineca/#",), lambda topic, body, kept: self.bodies.update({topic: body}))
        return self.bodies

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)


def test_the_verb_sends_the_log_and_waits_for_each(broker: Broker, log: Path) -> None:
    options = ["--broker", broker.address, "--org", "cineca", "--cluster", "m100", "--answers", str(log)]
    with heard(broker) as bodies:
        result = CliRunner().invoke(app, ["publish", *options])
        assert result.exit_code == 0, result.output
        assert f"8 samples, each acknowledged by {broker.address}" in result.output
        wait(lambda: len(bodies) == 8)
    assert bodies[f"{PREFIX}r205n01/plugin/wattline_pub/chnl/data/score"] == b"0.1;1767657599.123456"
    assert bodies[f"{PREFIX}n%202/plugin/wattline_pub/chnl/data/score"] == b"0.3333333333333333;1767657600.123456"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tag", "model"], "is no new key=value"),
        (["--tag", "node=x"], "'node' is part of every topic"),
        (["--scores", "x", "--answers", "y"], "give one of them"),
        (["--answers", "nowhere"], "nowhere is missing"),
        (["--scores", "nowhere"], "is no table of scores"),
    ],
)
def test_odd_options_are_named(broker: Broker, log: Path, options: list[str], words: str) -> None:
    given = ["--broker", broker.address, "--org", "o", "--cluster", "c"]
    if "--answers" not in options and "--scores" not in options:
        given += ["--answers", str(log)]
    result = CliRunner().invoke(app, ["publish", *given, *options])
    assert isinstance(result.exception, InputError)
    assert words in str(result.exception)
