"""Prometheus: a real one scrapes an exporter of known watts, and the meter gives the joules or says why not."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from debian import Tools

from energy.meters.servers import Answer, certify, serving, wait
from wattline.energy.meters import MeterError, prometheus
from wattline.energy.meters.prometheus import Prometheus
from wattline.params import PrometheusParams
from wattline.settings import Settings

INTERVAL = 0.25
QUERY = 'node_power_watts{instance="node-01"}'
# Digits that change, as those of real sensors do.
TREMBLE = 1e-6
WORD = "word"


@dataclass
class Exporter:
    """watts: of node-01 now; None where it is not exported any more"""

    watts: float | None = 100.0
    calls: int = 0

    def __call__(self, path: str) -> Answer:
        self.calls += 1
        if self.watts is None:
            return Answer(b"")
        watts = self.watts + TREMBLE * (self.calls % 2)
        lines = [
            "# TYPE node_power_watts gauge",
            f'node_power_watts{{instance="node-01"}} {watts!r}',
            f'node_power_watts{{instance="node-02"}} {2 * watts!r}',
            "# TYPE node_energy_joules_total counter",
            f'node_energy_joules_total{{instance="node-01"}} {100.0 * self.calls}',
            'broken_watts{instance="node-01"} NaN',
            "",
        ]
        return Answer("\n".join(lines).encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


@dataclass
class Site:
    exporter: Exporter
    address: str
    process: "subprocess.Popen[bytes]"


CONFIGURATION = """
global: {{scrape_interval: 250ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: power
    honor_labels: true
    static_configs: [{{targets: ["{target}"]}}]
"""


@contextmanager
def site(command: str, folder: Path, *options: str) -> Iterator[Site]:
    """A Prometheus that scrapes an exporter every 250 ms."""
    exporter = Exporter()
    with serving(exporter) as source, socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(target=source.address.removeprefix("http://")))
        free.close()
        process = subprocess.Popen(
            [command, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address={address}", "--log.level=error", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Site(exporter, f"http://{address}", process)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def power(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tools.path("prometheus"), tmp_path_factory.mktemp("prometheus")) as found:
        wait(lambda: scraped(found.address, QUERY))
        yield found


@pytest.fixture(autouse=True)
def restored(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test finds the exporter at 100 W."""
    yield
    if "power" in request.fixturenames:
        found: Site = request.getfixturevalue("power")
        found.exporter.watts = 100.0


def scraped(address: str, query: str) -> bool:
    """Whether Prometheus is there and has four samples of a series."""
    try:
        answer = httpx.get(f"{address}/api/v1/query", params={"query": f"{query}[1m]"})
    except httpx.TransportError:
        return False
    result = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return bool(result) and len(result[0]["values"]) > 4


def open_meter(address: str, query: str = QUERY, *, interval: float = INTERVAL, **variables: str) -> Prometheus:
    params = PrometheusParams(url=address, query=query, boundary="node-01 at its PDU", interval_seconds=interval)
    return Prometheus(params, Settings(**variables))


def read(meter: Prometheus, between: Callable[[], None] = lambda: time.sleep(1.5)):
    meter.start()
    between()
    return meter.stop()


def test_power_of_one_series_is_integrated(power: Site):
    energy = read(open_meter(power.address))
    assert energy.seconds == pytest.approx(1.5, abs=0.5)
    assert energy.joules == pytest.approx(100 * energy.seconds, rel=1e-4)
    assert energy.interval[0] <= 100 * energy.seconds <= energy.interval[1]
    assert energy.provenance == "measured"
    assert energy.scope == "machine"
    assert energy.boundary == "node-01 at its PDU"
    assert energy.sensor == f"prometheus:{QUERY} at {power.address}"
    assert energy.resolution_joules == pytest.approx(TREMBLE * INTERVAL)


def test_only_the_window_counts(power: Site):
    meter = open_meter(power.address)
    power.exporter.watts = 5000.0
    time.sleep(1.0)
    power.exporter.watts = 200.0
    time.sleep(1.0)
    energy = read(meter)
    power.exporter.watts = 5000.0
    assert energy.joules == pytest.approx(200 * energy.seconds, rel=1e-4)


def test_power_that_jumps_within_the_window_is_within_the_interval(power: Site):
    instants = []

    def activity() -> None:
        for watts in (100.0, 400.0, 150.0):
            power.exporter.watts = watts
            instants.append((time.monotonic(), watts))
            time.sleep(0.9)
        instants.append((time.monotonic(), 0.0))

    energy = read(open_meter(power.address), activity)
    true = sum(watts * (after - before) for (before, watts), (after, _) in pairwise(instants))
    assert energy.interval[0] - 5 <= true <= energy.interval[1] + 5
    # Half an interval at each of two jumps.
    assert energy.joules == pytest.approx(true, abs=INTERVAL * 300 + 10)


def test_the_shortest_window_is_a_hundred_intervals(power: Site):
    assert open_meter(power.address).minimum_seconds == 25


def test_a_second_start_begins_anew(power: Site):
    meter = open_meter(power.address)
    meter.start()
    time.sleep(1.0)
    energy = read(meter, lambda: time.sleep(0.8))
    assert energy.seconds < 1.7


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("node_power_watts", "node_power_watts is 2 series, one is needed: .*node-01.* and .*node-02"),
        ("no_such_power", "has no sample of no_such_power in the last 1 s; correct energy.prometheus.query"),
        ("sum(node_power_watts)", "HTTP 400 to .*ranges only allowed for vector selectors.*need a recording rule"),
        ("node_power_watts{", "HTTP 400 to .*parse error"),
        ("node_power_watts[5m]", "HTTP 400 to .*need a recording rule"),
    ],
    ids=["two series", "no series", "an expression", "half a selector", "a range"],
)
def test_what_is_not_one_plain_series_is_refused(power: Site, query: str, said: str):
    with pytest.raises(MeterError, match=said) as caught:
        open_meter(power.address, query)
    assert "\n" not in str(caught.value)


def test_a_series_of_something_else_than_numbers_is_refused(power: Site):
    with pytest.raises(MeterError, match="nan W; no machine draws that"):
        read(open_meter(power.address, 'broken_watts{instance="node-01"}'))


def test_a_series_that_vanishes_on_the_way_is_refused(power: Site):
    def activity() -> None:
        time.sleep(0.5)
        power.exporter.watts = None
        time.sleep(0.5)

    with pytest.raises(MeterError, match="has no sample after the end of the activity"):
        read(open_meter(power.address), activity)
    power.exporter.watts = 100.0
    wait(lambda: scraped(power.address, f"{QUERY}"))


def test_a_hole_in_the_series_is_refused(power: Site):
    time.sleep(1.5)

    def activity() -> None:
        time.sleep(0.5)
        power.exporter.watts = None
        time.sleep(1.5)
        power.exporter.watts = 100.0
        time.sleep(0.5)

    with pytest.raises(MeterError, match=r"no reading of power for .* s where one is due every 0.25 s"):
        read(open_meter(power.address), activity)


def test_a_series_that_stopped_before_is_refused_though_queries_would_still_show_it(power: Site):
    time.sleep(1.5)
    meter = open_meter(power.address, interval=0.5)
    power.exporter.watts = None
    time.sleep(1.8)
    with pytest.raises(MeterError, match=r"the last sample of .* is .* s old|has no sample of"):
        meter.start()
    power.exporter.watts = 100.0
    time.sleep(1.5)


def test_a_wrong_interval_is_noticed(power: Site):
    """Unless a sample came this very moment: so it is tried a few times."""
    said = []
    for _ in range(6):
        try:
            open_meter(power.address, interval=0.01)
        except MeterError as error:
            said.append(str(error))
        time.sleep(0.07)
    pattern = r"is .* s old, one is due every 0.01 s; correct energy.prometheus.interval|no sam"
    assert said
    assert all(re.search(pattern, one) for one in said), said


def test_a_server_that_goes_down_on_the_way_is_refused(tools: Tools, tmp_path: Path):
    with site(tools.path("prometheus"), tmp_path) as found:
        wait(lambda: scraped(found.address, QUERY))
        meter = open_meter(found.address)
        meter.start()
        found.process.kill()
        found.process.wait()
        with pytest.raises(MeterError, match=r"does not answer: .*check energy.prometheus.url"):
            meter.stop()
    with pytest.raises(MeterError, match="does not answer"):
        open_meter(found.address)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """By how much our wall clock, and our monotonic one, are set forward."""
    ahead = [0.0, 0.0]
    wall, steady = time.time, time.monotonic
    monkeypatch.setattr(prometheus.time, "time", lambda: wall() + ahead[0])
    monkeypatch.setattr(prometheus.time, "monotonic", lambda: steady() + ahead[1])
    return ahead


@pytest.mark.parametrize("seconds", [-6.0, 6.0])
def test_clocks_that_differ_are_refused(power: Site, clock: list[float], seconds: float):
    clock[0] = seconds
    with pytest.raises(MeterError, match=r"is [-+]6\.\d s from ours, 5 s are allowed; synchronise both"):
        open_meter(power.address)


def test_a_small_difference_is_taken_off(power: Site, clock: list[float]):
    clock[0] = 3.0
    energy = read(open_meter(power.address))
    assert energy.joules == pytest.approx(100 * energy.seconds, rel=1e-4)
    assert energy.parameters["clock of the server"].startswith(("-3.0", "-2.9"))


def test_a_clock_that_is_set_during_the_activity_is_refused(power: Site, clock: list[float]):
    meter = open_meter(power.address)
    meter.start()
    time.sleep(1)
    clock[0] = 30.0
    with pytest.raises(MeterError, match="from ours"):
        meter.stop()


def server_of(*, ahead: Callable[[], float] = lambda: 0.0, samples: Callable[[float], object] | None = None):
    """Something that answers like a Prometheus whose clock and whose samples can be had otherwise than in truth."""

    def answer(path: str) -> Answer:
        now = time.time() + ahead()
        if "time%28%29" in path:
            return Answer({"status": "success", "data": {"resultType": "scalar", "result": [now, str(now)]}})
        values = samples(now) if samples else [[now - 0.25 * i, str(100 + i % 2)] for i in range(10, -1, -1)]
        series = [{"metric": {"instance": "node-01"}, "values": values}]
        return Answer({"status": "success", "data": {"resultType": "matrix", "result": series}})

    return answer


def test_a_server_whose_clock_is_set_during_the_activity_is_refused():
    jump = [0.0]
    with serving(server_of(ahead=lambda: jump[0])) as server:
        meter = open_meter(server.address)
        meter.start()
        time.sleep(0.3)
        jump[0] = 2.0
        with pytest.raises(MeterError, match=r"jumped by \+2\.\d+ s during the activity"):
            meter.stop()


@pytest.mark.parametrize(
    "content",
    [{}, [], "text", {"status": "success"}, {"status": "success", "data": {"resultType": "vector", "result": []}},
     {"status": "error", "error": "query timed out"}],
)  # fmt: skip
def test_a_server_that_is_no_prometheus_is_refused(content: object):
    with (
        serving(lambda path: Answer(content)) as server,
        pytest.raises(MeterError, match=r"does not answer as Prometheus does|answers HTTP 200 to|not JSON"),
    ):
        open_meter(server.address)


@pytest.mark.parametrize("result", [5, "ab", ["ab"], {"a": 1}])
def test_an_answer_that_is_no_list_of_series_is_refused(result: object):
    def answer(path: str) -> Answer:
        if "time%28%29" in path:
            return server_of()(path)
        return Answer({"status": "success", "data": {"resultType": "matrix", "result": result}})

    with serving(answer) as server, pytest.raises(MeterError, match=r"holds no numbers"):
        open_meter(server.address)


@pytest.mark.parametrize("result", [["now"], {"a": 1}, [1, 10**400]])
def test_a_server_that_does_not_tell_the_time_is_refused(result: object):
    answer = Answer({"status": "success", "data": {"resultType": "scalar", "result": result}})
    with serving(lambda path: answer) as server, pytest.raises(MeterError, match="does not tell the time"):
        open_meter(server.address)


def test_a_meter_that_was_not_started_cannot_be_stopped():
    with serving(server_of()) as server:
        meter = open_meter(server.address)
    with pytest.raises(MeterError, match=r"call start\(\) first"):
        meter.stop()


@pytest.mark.parametrize(
    "values",
    [[["now", "100"]], [[1]], "values", [[1, "many"]], None, [], [[1, "sNaN"]], [[1, [0, [1], 3]]], [[1, True]],
     [[10**400, "100"]]],
)  # fmt: skip
def test_samples_that_are_none_are_refused(values: object):
    with (
        serving(server_of(samples=lambda now: values)) as server,
        pytest.raises(MeterError, match="holds no numbers"),
    ):
        open_meter(server.address)


@pytest.mark.parametrize("address", ["https://host\x00.example.org", f"https://{'a' * 300}.example.org"])
def test_an_address_that_cannot_be_asked_is_named(address: str):
    with pytest.raises(MeterError, match=r"does not answer: .*; check energy\.prometheus\.url"):
        open_meter(address)


class TestCredentials:
    def test_a_token_is_sent(self):
        with serving(server_of()) as server:
            open_meter(server.address, WATTLINE_PROMETHEUS_TOKEN="word-for-tests").start()
            assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer word-for-tests"}

    def test_a_password_is_sent_over_tls(self, tmp_path: Path):
        folder = certify(tmp_path)
        variables = {"WATTLINE_PROMETHEUS_USER": "reader", "WATTLINE_PROMETHEUS_PASSWORD": WORD}
        with serving(server_of(), certificate=folder) as server:
            open_meter(server.address, **variables, WATTLINE_ENERGY_CA_FILE=str(folder / "ca.pem"))
            assert {headers["Authorization"] for _, headers in server.asked} == {"Basic cmVhZGVyOndvcmQ="}

    def test_two_kinds_are_one_too_many(self):
        variables = {"WATTLINE_PROMETHEUS_USER": "reader", "WATTLINE_PROMETHEUS_TOKEN": "word-for-tests"}
        with pytest.raises(MeterError, match="are both set; unset one of them"):
            open_meter("https://127.0.0.1", **variables)

    def test_that_are_refused_are_named_and_not_shown(self):
        with (
            serving(lambda path: Answer("word-for-tests", status=401)) as server,
            pytest.raises(MeterError, match="HTTP 401; correct WATTLINE_PROMETHEUS_TOKEN") as caught,
        ):
            open_meter(server.address, WATTLINE_PROMETHEUS_TOKEN="word-for-tests")
        assert "word-for-tests" not in str(caught.value)

    def test_are_not_sent_in_the_open(self):
        with pytest.raises(MeterError, match="credentials would be sent in the open"):
            open_meter("http://prometheus.example.org", WATTLINE_PROMETHEUS_TOKEN="word-for-tests")

    def test_are_not_told_to_a_proxy(self, monkeypatch: pytest.MonkeyPatch):
        with serving(server_of()) as proxy, serving(server_of()) as server:
            monkeypatch.setenv("http_proxy", proxy.address)
            open_meter(server.address, WATTLINE_PROMETHEUS_TOKEN="word-for-tests")
            assert proxy.asked == []

    @pytest.mark.parametrize("address", ["http//reader:word@h", "reader:word@h:9090", "https:/reader:word@h/"])
    def test_in_an_address_that_is_none_are_not_shown(self, address: str):
        with pytest.raises(MeterError, match="more than a place") as caught:
            open_meter(address)
        assert "word" not in str(caught.value)

    @pytest.mark.parametrize("token", ["two words", "line\nbreak", "ü"])
    def test_that_are_none_are_refused_and_not_shown(self, token: str):
        with pytest.raises(MeterError, match="holds a character that no token has") as caught:
            open_meter("https://127.0.0.1", WATTLINE_PROMETHEUS_TOKEN=token)
        assert token not in str(caught.value)
