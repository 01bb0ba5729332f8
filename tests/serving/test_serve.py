"""The life of a server: it starts with a verified model or not at all, and ends without losing an answer."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import write_candidate, write_keys, write_served
from tests.serving.running import NO_DRAIN, QUESTION, Running, client, prepare, running, start, write_params

HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


def until(condition: Callable[[], Any], *, seconds: float = 200) -> Any:
    """What `condition` gives once it is true."""
    overdue = time.monotonic() + seconds
    while time.monotonic() < overdue:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"this did not become true: {condition}")


def refused_start(folder: Path, *arguments: str) -> str:
    """The one line that a server says which does not start."""
    process = start(folder, *arguments)
    output, errors = process.communicate(timeout=240)
    assert output == ""
    assert process.returncode == 2
    (line,) = [line for line in errors.splitlines() if line.startswith("wattline: ")]
    return line


def test_a_served_model_answers_at_the_printed_address_and_sigterm_ends_it_cleanly(folder: Path):
    with running(folder) as server, client(server.address) as caller:
        assert caller.get("/readyz").json()["model"]["version"] == "1"
        answer = caller.post("/predict", json=QUESTION)
        assert (answer.status_code, answer.json()["unit"]) == (200, "node-01")
        code, output, errors = server.end()
        assert (code, output) == (0, "")
        assert "Traceback" not in errors


def test_a_caller_who_leaves_in_the_middle_leaves_no_trace(folder: Path):
    with running(folder) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD.format(100).encode() + b"{")
        assert httpx.post(f"{server.address}/predict", json=QUESTION).status_code == 200
        code, _, errors = server.end()
        assert (code, "Traceback" in errors) == (0, False)


def test_while_it_drains_it_is_not_ready_but_answers_and_then_exits_0(tmp_path: Path):
    statuses = set()
    with running(prepare(tmp_path, {"drain_seconds": 5.0})) as server, client(server.address) as caller:
        caller.get("/readyz")
        server.process.send_signal(signal.SIGTERM)
        while server.process.poll() is None:
            try:
                ready = caller.get("/readyz").status_code
                answer = caller.post("/predict", json=QUESTION).status_code
            except httpx.TransportError:
                break
            statuses.add((ready, answer))
        assert statuses <= {(200, 200), (503, 200)}
        assert (503, 200) in statuses
        server.process.communicate(timeout=120)
        assert server.process.returncode == 0


def test_a_kept_open_connection_does_not_keep_a_server_alive(folder: Path):
    with running(folder) as server, client(server.address) as caller:
        assert caller.get("/livez").status_code == 200
        assert server.end()[0] == 0


def tampered(folder: Path) -> None:
    path = folder / "champion" / "model.onnx"
    path.write_bytes(path.read_bytes() + b" ")


def unsigned(folder: Path) -> None:
    (folder / "champion" / "statement.dsse.json").unlink()


def signed_by_a_stranger(folder: Path) -> None:
    write_keys(folder / "keys", seed=7)


def replayed(folder: Path) -> None:
    former = (folder / "champion" / "statement.dsse.json").read_bytes()
    write_served(folder / "champion", write_keys(folder / "keys"), version="2")
    (folder / "champion" / "statement.dsse.json").write_bytes(former)


def without_golden_answers(folder: Path) -> None:
    write_served(folder / "champion", write_keys(folder / "keys"), golden=False)


def no_graph(folder: Path) -> None:
    write_served(folder / "champion", write_keys(folder / "keys"))
    (folder / "champion" / "model.onnx").unlink()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (tampered, "model.onnx"),
        (unsigned, "statement.dsse.json"),
        (signed_by_a_stranger, "key"),
        (replayed, "version"),
        (without_golden_answers, "golden.json"),
        (no_graph, "model.onnx"),
    ],
)
def test_what_cannot_be_verified_is_never_served(folder: Path, spoil: Callable[[Path], None], word: str):
    spoil(folder)
    assert word in refused_start(folder)


def test_a_folder_without_a_model_says_how_to_get_one(folder: Path):
    assert "wattline champion" in refused_start(folder, "--folder", "elsewhere")


def test_a_taken_port_is_named(folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused_start(folder, "--port", str(port))


def test_without_authentication_it_listens_on_loopback_only(folder: Path):
    assert "serving.auth.mode" in refused_start(folder, "--host", "0.0.0.0")


def test_an_unsigned_model_is_served_only_where_that_was_chosen(tmp_path: Path):
    write_candidate(tmp_path / "champion", golden=True)
    write_params(tmp_path, {**NO_DRAIN, "model": {"signature": "optional"}})
    with running(tmp_path) as server:
        model = httpx.post(f"{server.address}/predict", json=QUESTION).json()["model"]
        assert (model["name"], model["version"]) == ("anomaly", model["digest"][:12])


def test_swaps_under_load_lose_no_request_and_every_answer_is_of_the_version_it_names(tmp_path: Path):
    folder = prepare(tmp_path, {**NO_DRAIN, "model": {"poll_seconds": 0}})
    stop, problems, versions = threading.Event(), [], set()

    def ask(server: Running, *, keep: bool) -> None:
        with client(server.address) as caller:
            while not stop.is_set():
                headers = {} if keep else {"Connection": "close"}
                answer = caller.post("/predict", json=QUESTION, headers=headers)
                if answer.status_code != 200:
                    problems.append(answer.text)
                    continue
                model = answer.json()["model"]
                versions.add((model["version"], model["digest"]))

    with running(folder) as server, client(server.address) as operator:
        threads = [threading.Thread(target=ask, args=(server,), kwargs={"keep": keep}) for keep in (True, False)]
        for thread in threads:
            thread.start()
        expected = set()
        try:
            for version in range(2, 8):
                written = write_served(
                    folder / "champion", write_keys(folder / "keys"), version=str(version), weights=b"%d" % version
                )
                expected.add((str(version), written.digest))
                found = operator.post("/admin/reload")
                assert (found.status_code, found.json()["stable"]) == (200, str(version))
                until(lambda wanted=str(version): any(seen == wanted for seen, _ in versions))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert problems == []
    assert expected <= versions
    assert len({version for version, _ in versions}) == len(versions)


def test_a_new_champion_is_noticed_without_being_told(tmp_path: Path):
    folder = prepare(tmp_path, {**NO_DRAIN, "model": {"poll_seconds": 0.1}})
    with running(folder) as server, client(server.address) as caller:
        write_served(folder / "champion", write_keys(folder / "keys"), version="2", weights=b"other")
        until(lambda: caller.get("/readyz").json()["model"]["version"] == "2")


@pytest.mark.parametrize("spoil", [tampered, unsigned, replayed])
def test_a_bad_new_champion_leaves_the_old_one_serving_and_is_counted(tmp_path: Path, spoil: Callable[[Path], None]):
    folder = prepare(tmp_path, {**NO_DRAIN, "model": {"poll_seconds": 0}})
    with running(folder) as server, client(server.address) as caller:
        before = caller.post("/predict", json=QUESTION).json()
        spoil(folder)
        assert caller.post("/admin/reload").status_code == 409
        after = caller.post("/predict", json=QUESTION).json()
        assert (after["score"], after["model"]) == (before["score"], before["model"])
        failures = [line for line in caller.get("/metrics").text.splitlines() if "model_load_failures_total{" in line]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in failures) == 1


def children(pid: int) -> list[int]:
    """Processes that `pid` started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_killed_worker_takes_nobody_elses_answers_with_it_and_is_replaced(tmp_path: Path):
    folder = prepare(tmp_path, {**NO_DRAIN, "workers": 2})
    with running(folder) as server:
        workers = [
            pid for pid in children(server.process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert len(workers) == 2
        with client(server.address) as caller:
            caller.get("/livez")
            subprocess.run(["kill", "-9", str(workers[0])], check=True)
            answered = 0
            for _ in range(50):
                try:
                    answered += httpx.post(f"{server.address}/predict", json=QUESTION).status_code == 200
                except httpx.TransportError:
                    continue
            assert answered >= 48
        until(lambda: len(set(children(server.process.pid)) - set(workers)) >= 2)
        assert server.end()[0] == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path):
    folder = prepare(tmp_path, {**NO_DRAIN, "workers": 2})
    with running(folder) as server:
        workers = children(server.process.pid)
        server.process.kill()
        until(lambda: not any(Path(f"/proc/{pid}/fd").exists() and list_open(pid) for pid in workers))


def list_open(pid: int) -> bool:
    """Whether `pid` is alive and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_bad_model_stops_all_workers_with_one_sentence(folder: Path):
    write_params(folder, {**NO_DRAIN, "workers": 2})
    tampered(folder)
    assert "model.onnx" in refused_start(folder)


def test_the_serving_process_imports_no_training_or_tracking_library():
    heavy = ("torch", "mlflow", "onnx", "pandas", "pyarrow", "matplotlib", "sklearn", "great_expectations", "evidently")
    code = f"import sys, wattline.serving.assembly; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
