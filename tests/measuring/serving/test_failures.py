"""Whatever goes wrong with the server or the meter: a clear error, no figure, and nothing left running."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.measuring.serving.site import (
    KNOBS,
    NAMES,
    ROOT,
    WATTS,
    alive,
    candidate,
    estimate,
    measured,
    powercap,
    rows,
    serving,
    tree,
    until,
)
from wattline.energy.meters import MeterError, Rapl
from wattline.errors import InputError, WattlineError
from wattline.measuring.serving import answer_log
from wattline.measuring.serving.client import ask, request
from wattline.measuring.serving.hosted import Order
from wattline.measuring.serving.process import ServingError, private, served, started
from wattline.measuring.serving.traffic import Predictions, Rows
from wattline.serving.inference.engine import Engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return candidate(tmp_path / "candidate")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No child of this process, and no folder of a server, outlives a test."""
    scratch = tmp_path / "temporary"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = set(tree(os.getpid()))
    yield
    assert set(tree(os.getpid())) - before == set()
    assert list(scratch.iterdir()) == []


def test_a_server_that_dies_in_the_middle_gives_no_figure(folder: Path):
    victims: list[int] = []

    def meter(root: int) -> Any:
        victims.append(root)
        threading.Timer(0.3, os.kill, (root, signal.SIGKILL)).start()
        return estimate(root)

    with pytest.raises(WattlineError) as error:
        measured(folder, meter=meter, knobs=KNOBS.model_copy(update={"requests": 20_000, "rows": 20_000}))
    assert error.value.exit_code == 2
    assert "exit code -9" in str(error.value)
    assert not alive(victims[0])


def test_a_model_that_the_server_refuses_is_named(tmp_path: Path):
    with pytest.raises(ServingError, match=r"did not start: it ended with exit code 2 and said: .*golden\.json"):
        measured(candidate(tmp_path / "other", golden=False))


def test_a_candidate_whose_bytes_were_changed_starts_no_server(folder: Path):
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b" ")
    with pytest.raises(WattlineError, match=r"model\.onnx"):
        measured(folder)


def test_a_server_that_is_not_ready_in_time_is_given_up(folder: Path):
    with (
        pytest.raises(ServingError, match=r"not ready after 0\.001 s: it still runs; see measure\.serving\.timeout"),
        served(folder, serving(), model="anomaly", watts_per_core=WATTS, ready_seconds=0.001),
    ):
        pytest.fail("it cannot be ready")


def test_a_server_that_answers_503_gives_no_figure(folder: Path):
    with pytest.raises(ServingError, match=r"the server answered 503: .*no figure"):
        measured(folder, params=serving(limits={"bodies_bytes": 1024, "queue_share": 1e-9}))


def test_a_taken_port_is_named(folder: Path, tmp_path: Path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = private(serving(), scratch).model_copy(update={"port": other.getsockname()[1]})
        order = Order(taken, "anomaly", folder, scratch, WATTS)
        with (
            pytest.raises(ServingError, match=f"cannot listen on 127.0.0.1:{taken.port}"),
            started(order, ready_seconds=60),
        ):
            pytest.fail("the port is not free")
    assert not scratch.exists()


class Vanishing(Rapl):
    """Its counter is gone after three readings."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root, self.left = root, 3

    def stop(self) -> Any:
        found = super().stop()
        self.left -= 1
        if not self.left:
            (self.root / "gone").touch()
            until(lambda: not (self.root / "intel-rapl:0" / "energy_uj").exists())
        return found


def test_a_meter_that_vanishes_gives_no_figure(folder: Path, tmp_path: Path):
    with powercap(tmp_path / "powercap", time.monotonic) as root, pytest.raises(MeterError, match="energy_uj"):
        measured(folder, meter=lambda _: Vanishing(root))


def test_a_meter_that_stands_still_gives_no_figure(folder: Path, tmp_path: Path):
    with powercap(tmp_path / "powercap", lambda: 7.0) as root, pytest.raises(MeterError, match="stood still"):
        measured(folder, meter=lambda _: Rapl(root))


def test_answers_that_the_log_drops_are_no_whole_work(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answer_log, "GRACE_SECONDS", 0.5)
    with pytest.raises(ServingError, match=r"answers were in the server's log .* serving\.log\.queue_records"):
        measured(folder, params=serving(log={"queue_records": 1, "flush_seconds": 0.4}))


def test_more_connections_than_the_server_takes_are_refused(folder: Path):
    with pytest.raises(InputError, match=r"measure\.serving\.connections is 4, but the server takes 3"):
        measured(folder, params=serving(limits={"connections": 3}))


SESSION = """
import sys
from pathlib import Path
from tests.measuring.serving.site import KNOBS, measured
measured(Path(sys.argv[1]), knobs=KNOBS.model_copy(update={"requests": 50_000}))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_is_interrupted_leaves_neither_a_server_nor_a_file(folder: Path, tmp_path: Path, number: signal.Signals):
    scratch = tmp_path / "temporary"
    environment = os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}:{ROOT}"}
    command = [sys.executable, "-c", SESSION, str(folder)]
    session = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: list(scratch.glob("*/log/date=*/*.parquet")))
        family = tree(session.pid)
        assert len(family) == 2
        session.send_signal(number)
        assert session.wait(timeout=60) != 0
        until(lambda: not any(map(alive, family)))
        until(lambda: not list(scratch.iterdir()))
    finally:
        session.kill()
        session.wait()


def answering(content: bytes) -> tuple[socket.socket, threading.Thread]:
    """A listener that sends `content` to the first who asks, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(content)
        connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return listener, thread


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", "in the middle of an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "in the middle of an answer"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{}", "does not say how long"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", "answered 500: no"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (b"", "in the middle of an answer"),
    ],
)
def test_an_answer_that_is_not_whole_or_not_2xx_is_an_error(content: bytes, words: str):
    listener, thread = answering(content)
    with listener, pytest.raises(ServingError, match=words):
        ask(listener.getsockname()[1], [[request("/predict", b"{}")]], seconds=20)
    thread.join()


def test_a_server_that_says_nothing_is_given_up():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ServingError, match=r"within 0\.2 s; see measure\.serving\.timeout_seconds"),
    ):
        ask(listener.getsockname()[1], [[request("/predict", b"{}")]], seconds=0.2)


@pytest.mark.parametrize("body", [b'{"score": 99.0}', b"{}", b'{"score": null}', b"[]", b"no", b'{"score": "1"}'])
def test_an_answer_that_is_not_the_graphs_is_an_error(folder: Path, body: bytes):
    traffic = Predictions(Engine(folder), rows(), NAMES, connections=1)
    traffic.next(1)
    with pytest.raises(ServingError, match=r"there is no figure|no JSON object"):
        traffic.check([[body]])


def test_an_answer_too_few_is_an_error(folder: Path):
    traffic = Predictions(Engine(folder), rows(), NAMES, connections=1)
    traffic.next(1)
    with pytest.raises(ServingError, match="was asked 1 times and answered 0"):
        traffic.check([[]])


def live(folder: Path, change: Callable[[Any], Any] = lambda signature: signature) -> Rows:
    return Rows(change(Engine(folder).signature), rows(), NAMES, connections=1, request_rows=100)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"answers": [{"state": "late"}]}', "scored 0 of 1 rows, with states late"),
        (b'{"answers": [{"state": "filling"}]}', "states filling"),
        (b'{"answers": [{"state": "complete", "score": null}]}', "no finite score"),
        (b'{"answers": []}', "scored 0 of 1"),
    ],
)
def test_a_row_that_is_not_scored_is_an_error(folder: Path, body: bytes, words: str):
    traffic = live(folder)
    traffic.next(1)
    with pytest.raises(ServingError, match=words):
        traffic.check([[body]])


def test_more_rows_than_there_was_time_for_are_refused(folder: Path):
    traffic = live(folder, lambda signature: signature.model_copy(update={"cadence_seconds": 86400.0 * 365}))
    with pytest.raises(InputError, match=r"measure\.serving\.rows: .* do not fit between 2000 and now"):
        traffic.next(1000)


def test_a_process_that_ends_while_it_is_read_is_an_error():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    meter = estimate(process.pid)
    meter.start()
    process.communicate()
    with pytest.raises(MeterError, match=f"process {process.pid}"):
        meter.stop()
