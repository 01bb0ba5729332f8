"""A real broker: what is published arrives exactly, what is no sample is counted, and a broker in trouble is named."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from energy.meters.servers import certify, wait
from paho.mqtt import client as paho
from pydantic import SecretStr

from sources.broker import Broker, Mosquitto, paused
from sources.conftest import run
from wattline import publishing, splits
from wattline.errors import InputError
from wattline.publishing import Message, Target
from wattline.settings import Settings
from wattline.sources import UnitSeries, open_source
from wattline.sources.mqtt import address
from wattline.sources.mqtt import source as mqtt
from wattline.sources.mqtt.connection import connected
from wattline.sources.mqtt.listening import Collector, await_return
from wattline.sources.mqtt.payload import Sample

NOW = int(time.time())
METRICS = {"total_power": {"column": "power", "unit": "W"}, "ambient": {"column": "inlet", "unit": "degC"}}
ANYBODY = Settings(WATTLINE_STATE=".wattline")


@pytest.fixture(scope="session")
def mosquitto(cache: Path) -> Mosquitto:
    return Mosquitto(cache)


@pytest.fixture(scope="module")
def broker(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    found = mosquitto.broker(tmp_path_factory.mktemp("broker"))
    with found.running():
        yield found


class Sender:
    """Sends what it is given, however wrong."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(60)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    found = Sender(broker.port)
    yield found
    found.close()


def topic(node: str, metric: str, *, cluster: str = "m100") -> str:
    return f"org/cineca/cluster/{cluster}/node/{node}/plugin/ipmi_pub/chnl/data/{metric}"


def collected(broker: Broker, into: Collector, filters: tuple[str, ...], send: Callable[[], int]) -> Collector:
    """Listens until as many messages came as `send` says that it sent."""
    with connected(address.parsed(broker.address), ANYBODY, patience_seconds=60) as connection:
        connection.subscribe(filters, lambda name, body, kept: into.take(name, body, kept, now=time.time()))
        expected = send()
        wait(lambda: into.taken + into.unasked + into.refused.total() + refused_of_units(into) >= expected)
    return into


def refused_of_units(found: Collector) -> int:
    # Another thread may just be adding a unit.
    return sum(counts.total() for counts in list(found.refused_of.values()))


def heard(broker: Broker, send: Callable[[], int], **given: object) -> tuple[UnitSeries, ...]:
    """The units that the source makes of what is sent."""
    options = mqtt.Options.model_validate({"broker": broker.address, "metrics": METRICS, **given})
    return mqtt.units(collected(broker, mqtt.collector(options), options.filters(), send), options)


def test_a_round_trip_through_a_broker_is_exact(broker: Broker) -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(0, 1, 500) * 10.0 ** generator.integers(-30, 30, 500)
    instants = NOW * 10**9 - generator.integers(1, 10**12, 500)
    units = ["r205n01", "node 7", "a+b", "c#d", "e%2Ff"]
    messages = [
        Message(units[row % 5], "anomaly score/+#", Sample(float(values[row]), int(instants[row])))
        for row in range(500)
    ]
    target = Target(broker.address, "cineca", "m 100", tags={"model": "a/b #1"})
    columns = {"model/a%2Fb%20%231/anomaly%20score%2F%2B%23": "score"}

    into = Collector(columns, unit_tag="node", maximum_samples=500)
    filters = ("org/+/cluster/m%20100/node/+/plugin/wattline_pub/chnl/data/#",)
    found = collected(broker, into, filters, lambda: publish(messages, target))
    assert found.taken + found.refused["topic: the unit's name cannot be a file name"] == 500
    assert set(found.units) == {"r205n01"}
    sent = [message for message in messages if message.unit == "r205n01"]
    times, arrived = found.units["r205n01"]["score"].channel()
    assert times.tolist() == [message.sample.instant for message in sent]
    assert arrived.tobytes() == np.array([message.sample.value for message in sent]).tobytes()


def publish(messages: list[Message], target: Target) -> int:
    return publishing.publish(iter(messages), target, ANYBODY)


def test_samples_of_any_order_become_rows_of_their_node(broker: Broker, sender: Sender) -> None:
    def send() -> int:
        for node, base in (("r205n02", 500), ("r205n01", 400)):
            for step in (2, 0, 1, 1):
                sender.send(topic(node, "total_power"), f"{base + step};{NOW - 60 + 20 * step}")
            sender.send(topic(node, "ambient"), f"21.5;{NOW - 60}")
        sender.send(topic("r205n01", "unasked"), f"1;{NOW}")
        sender.send(topic("r205n01", "total_power", cluster="other"), f"1;{NOW}")
        return 10

    first, second = heard(broker, send, cluster="m100")
    assert [unit.series.unit for unit in (first, second)] == ["r205n01", "r205n02"]
    assert first.series.group == "r205"
    assert first.columns == ("power", "inlet")
    assert first.series.timestamps.astype(np.int64).tolist() == [(NOW - 60 + step) * 10**9 for step in (0, 20, 40)]
    np.testing.assert_array_equal(first.series.values, [[400, 21.5], [401, np.nan], [402, np.nan]])
    assert not first.quarantined


def test_what_is_no_sample_is_counted_with_its_reason(broker: Broker, sender: Sender) -> None:
    known = topic("r1n1", "total_power", cluster="junk")
    sender.send(known, f"1;{NOW}", retain=True)
    bodies = ["", "junk", "on;1700000000", "nan;1700000000", "1e300;1700000000", f"1;{NOW * 1000}"]
    bodies += [f"1;{NOW + 100_000}", "1;10", f"0;{NOW}", f"1;{NOW - 1}"]
    odd = ["odd/a", "odd//junk", "odd/a/odd/b/junk", "odd/x/total_power", "odd/x/node/.hidden/total_power"]

    def send() -> int:
        for body in bodies:
            sender.send(known, body)
        for name in (*odd, topic("r1n2", "total_power", cluster="junk")):
            sender.send(name, f"1;{NOW}")
        return 1 + len(bodies) + len(odd) + 1

    (unit,) = heard(
        broker,
        send,
        topics=["org/+/cluster/junk/#", "odd/#"],
        metrics={**METRICS, "odd/x/total_power": {"unit": "W"}},
    )
    sender.send(known, b"", retain=True)
    assert len(unit.series.timestamps) == 2
    assert dict(unit.quarantined) == {
        "kept by the broker from before": 1,
        "not `value;seconds`": 2,
        "the value is no number": 1,
        "the value is not finite": 1,
        "the value does not fit in 32 bits": 1,
        "milliseconds where seconds belong": 1,
        "in the future": 1,
        "before 2000": 1,
        "topic: no pairs and a metric": 1,
        "topic: a level is empty": 1,
        "topic: a key comes twice": 1,
        "topic: no tag node": 1,
        "topic: the unit's name cannot be a file name": 1,
        "a unit with a single row": 1,
    }


def test_more_than_the_maximum_is_let_go_and_counted(broker: Broker, sender: Sender) -> None:
    def send() -> int:
        for step in range(9):
            sender.send(topic("r1n1", "total_power", cluster="flood"), f"{step};{NOW - step}")
        return 9

    (unit,) = heard(broker, send, cluster="flood", maximum_samples=5)
    assert len(unit.series.timestamps) == 5
    assert dict(unit.quarantined) == {"beyond maximum_samples": 4}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"1;{NOW * 1000}", "milliseconds where seconds belong; repair the sender"),
        ("junk", "not taken were not `value;seconds`: 1"),
        (None, "check org, cluster, plugin and metrics"),
        (f"1;{NOW}", "no unit had two rows"),
    ],
)
def test_silence_and_nothing_but_junk_are_named(broker: Broker, sender: Sender, body: str | None, words: str) -> None:
    def send() -> int:
        if body:
            sender.send(topic("r1n1", "total_power", cluster="silent"), body)
        return 1 if body else 0

    with pytest.raises(InputError, match=words):
        heard(broker, send, cluster="silent")


def test_ingest_listens_and_writes_what_it_heard(broker: Broker, sender: Sender, project: Path) -> None:
    done = threading.Event()

    def send() -> None:
        # Again and again: nobody says when somebody listens.
        step = 0
        while not done.wait(0.05):
            for node in ("r205n01", "r206n01"):
                sender.send(topic(node, "total_power", cluster="ingested"), f"{step};{NOW - step}")
            step += 1

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            run("mqtt", broker=broker.address, metrics=METRICS, cluster="ingested", seconds=3, patience_seconds=60)
        finally:
            done.set()
            sending.result()
    dataset = splits.read_dataset()
    assert [(unit.name, unit.group) for unit in dataset.units] == [("r205n01", "r205"), ("r206n01", "r206")]
    assert [(column.name, column.unit) for column in dataset.columns] == [("power", "W"), ("inlet", "degC")]


def test_a_broker_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = open_source(
        "mqtt", {"broker": f"mqtt://127.0.0.1:{port}", "metrics": METRICS, "patience_seconds": 0.5}, seed=0
    )
    with pytest.raises(InputError, match=rf"127.0.0.1:{port} cannot be reached: Connection refused"):
        list(source.units)


def test_a_broker_that_says_nothing_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = address.parsed(f"mqtt://127.0.0.1:{listener.getsockname()[1]}")
        with (
            pytest.raises(InputError, match="no MQTT broker answered within 1 s"),
            connected(place, ANYBODY, patience_seconds=1),
        ):
            pass


def test_a_broker_that_goes_away_and_comes_back_is_found_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker = mosquitto.broker(tmp_path / "broker")
    found = Collector({"total_power": "power"}, unit_tag="node", maximum_samples=10**6)
    with ExitStack() as first:
        first.enter_context(broker.running())
        with connected(address.parsed(broker.address), ANYBODY, patience_seconds=60) as connection:
            connection.subscribe(("org/#",), lambda name, body, kept: found.take(name, body, kept, now=NOW))
            until_taken(broker, found, 1)
            first.close()
            wait(lambda: not connection.is_up)
            before = found.taken
            with broker.running():
                until_taken(broker, found, before + 1)
            assert connection.breaks >= 1


def until_taken(broker: Broker, found: Collector, count: int) -> None:
    """Send until it is heard: nobody says when a listener is there again."""
    sender = Sender(broker.port)
    until = time.monotonic() + 60
    while found.taken < count:
        assert time.monotonic() < until
        sender.send(topic("r1n1", "total_power"), f"1;{NOW - count}")
        time.sleep(0.1)
    sender.close()


def test_a_broker_that_is_away_at_the_end_leaves_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker = mosquitto.broker(tmp_path / "broker")
    with ExitStack() as first:
        first.enter_context(broker.running())
        with connected(address.parsed(broker.address), ANYBODY, patience_seconds=60) as connection:
            await_return(connection, patience=0.1)
            first.close()
            wait(lambda: not connection.is_up)
            with pytest.raises(InputError, match="went away while we listened"):
                await_return(connection, patience=0.3)


def test_what_was_not_acknowledged_is_sent_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker = mosquitto.broker(tmp_path / "broker")
    with ExitStack() as first:
        server = first.enter_context(broker.running())
        with connected(address.parsed(broker.address), ANYBODY, patience_seconds=60) as connection:
            with paused(server):
                for step in range(10):
                    connection.publish(topic("r1n1", "score"), f"{step};{NOW}".encode())
                first.close()
            with broker.running():
                connection.settle()
            assert connection.breaks >= 1


def test_a_broker_that_does_not_acknowledge_is_named(broker: Broker, mosquitto: Mosquitto, tmp_path: Path) -> None:
    own = mosquitto.broker(tmp_path / "broker")
    with (
        own.running() as server,
        connected(address.parsed(own.address), ANYBODY, patience_seconds=4) as connection,
        paused(server),
    ):
        connection.publish(topic("r1n1", "score"), f"1;{NOW}".encode())
        with pytest.raises(InputError, match="did not acknowledge 1 messages within 4 s"):
            connection.settle()


def test_only_who_may_write_publishes(mosquitto: Mosquitto, tmp_path: Path) -> None:
    word = "-".join(("correct", "horse"))
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "rights").write_text("user reader\ntopic read org/#\n")
    (folder / "rights").chmod(0o600)
    mosquitto.password_file(folder / "passwords", "reader", word)
    broker = mosquitto.broker(
        folder,
        "allow_anonymous false",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'rights'}",
    )
    target = Target(broker.address, "cineca", "m100", patience_seconds=30)
    messages = [Message("r1n1", "score", Sample(0.5, NOW * 10**9))]
    reader = {"WATTLINE_MQTT_USER": "reader"}
    with broker.running():
        for environment in (ANYBODY, Settings(**reader, WATTLINE_MQTT_PASSWORD=word[::-1])):
            with pytest.raises(InputError, match="WATTLINE_MQTT_USER") as refused:
                publishing.publish(iter(messages), target, environment)
            assert word[::-1] not in str(refused.value)
        with pytest.raises(InputError, match="refused 1 messages"):
            publishing.publish(iter(messages), target, Settings(**reader, WATTLINE_MQTT_PASSWORD=word))


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_is_verified(mosquitto: Mosquitto, tmp_path: Path) -> None:
    certificate = certify(tmp_path / "certificate")
    broker = mosquitto.broker(
        tmp_path / "broker", f"certfile {certificate / 'ca.pem'}", f"keyfile {certificate / 'key.pem'}"
    )
    place = address.parsed(f"mqtts://127.0.0.1:{broker.port}")
    with broker.running():
        with (
            pytest.raises(InputError, match="WATTLINE_SOURCES_CA_FILE"),
            connected(place, ANYBODY, patience_seconds=10),
        ):
            pass
        gc.collect()
        trusting = Settings(WATTLINE_SOURCES_CA_FILE=certificate / "ca.pem")
        with connected(place, trusting, patience_seconds=30) as connection:
            connection.publish("org/a/score", b"1;1")
            connection.settle()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("localhost:1883", "is no broker's address"),
        ("http://h:1", "is no broker's address"),
        ("mqtt://h:x", "cannot be read"),
        ("mqtt://h:1/topic", "is no broker's address"),
        ("mqtt://me:" + "secret" + "@h", "holds credentials"),
    ],
)
def test_an_odd_address_is_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        address.parsed(text)
    assert "secret" not in str(refused.value)


def test_a_password_is_not_shown_over_the_network() -> None:
    environment = Settings(WATTLINE_MQTT_USER="me", WATTLINE_MQTT_PASSWORD=SecretStr("pass" + "word"))
    with (
        pytest.raises(InputError, match="in the open; use mqtts"),
        connected(address.parsed("mqtt://broker.example"), environment, patience_seconds=1),
    ):
        pass


def test_options_that_make_no_sense_are_named() -> None:
    given = {"broker": "mqtt://h", "metrics": {"a": {"unit": "W", "column": "x"}, "b": {"unit": "W", "column": "x"}}}
    with pytest.raises(InputError, match="column 'x' of more than one metric"):
        open_source("mqtt", given, seed=0)
    with pytest.raises(InputError, match="group_pattern"):
        open_source("mqtt", {**given, "group_pattern": "("}, seed=0)
    with pytest.raises(InputError, match="metrics"):
        open_source("mqtt", {"broker": "mqtt://h", "metrics": {}}, seed=0)
