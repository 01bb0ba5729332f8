"""The real server: one process on a free loopback port, asked over TCP, ended by SIGTERM."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from builders import COLUMNS, STEPS, write_candidate

HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
SERVE = """
import sys
from pathlib import Path
from wattline.errors import WattlineError
from wattline.serving import app
try:
    app.serve(Path(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
except WattlineError as error:
    sys.exit(f"wattline: {error}")
"""
ROW = {column.name: 1.5 for column in COLUMNS}
QUESTION = {"unit": "node-01", "rows": [ROW] * STEPS}


def start(folder: Path, port: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SERVE, str(folder), str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    server = start(folder)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.fullmatch(r"serving at (http://127\.0\.0\.1:[1-9]\d*)\n", line)
        assert found, line + (server.stderr.read() if server.stderr and not line else "")
        yield server, found.group(1)
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_candidate(tmp_path / "champion")
    return tmp_path / "champion"


def test_a_served_model_answers_at_the_printed_address_and_sigterm_ends_it_cleanly(folder: Path):
    with running(folder) as (server, address):
        assert httpx.get(f"{address}/readyz").status_code == 200
        answer = httpx.post(f"{address}/predict", json=QUESTION)
        assert (answer.status_code, answer.json()["unit"]) == (200, "node-01")
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate()
        assert (server.returncode, output, errors) == (0, "", "")


def test_a_kept_open_connection_does_not_keep_a_server_alive(folder: Path):
    with running(folder) as (server, address), httpx.Client() as client:
        assert client.get(f"{address}/livez").status_code == 200
        server.send_signal(signal.SIGTERM)
        server.communicate()
        assert server.returncode == 0


def test_an_oversized_body_gets_its_answer_over_tcp_and_the_next_caller_too(folder: Path):
    with running(folder) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(HEAD.format(200_000_000).encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 413")
        assert httpx.post(f"{address}/predict", json=QUESTION).status_code == 200


def test_a_caller_who_leaves_in_the_middle_leaves_no_trace(folder: Path):
    with running(folder) as (server, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(HEAD.format(100).encode() + b"{")
        assert httpx.post(f"{address}/predict", json=QUESTION).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.communicate()[1] == ""


def test_rubbish_never_makes_it_fail(folder: Path):
    with running(folder) as (_, address):
        for content in (b"\x00\xff" * 500, b"NaN", b"{}", json.dumps(QUESTION).encode()[:-1]):
            answer = httpx.post(f"{address}/predict", content=content, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500
            assert list(answer.json()) == ["error"]


def test_a_tampered_model_is_never_served(folder: Path):
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b" ")
    output, errors = start(folder).communicate()
    assert output == ""
    assert "model.onnx" in errors
    assert len(errors.splitlines()) == 1


def test_a_folder_without_a_model_says_how_to_get_one(tmp_path: Path):
    output, errors = start(tmp_path).communicate()
    assert output == ""
    assert "wattline champion" in errors
    assert len(errors.splitlines()) == 1


def test_a_taken_port_is_named(folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        output, errors = start(folder, port).communicate()
    assert output == ""
    assert f"127.0.0.1:{port}" in errors
    assert len(errors.splitlines()) == 1


def test_the_serving_process_imports_no_training_or_tracking_library():
    heavy = ("torch", "mlflow", "onnx", "pandas", "pyarrow", "matplotlib", "sklearn", "great_expectations", "evidently")
    code = f"import sys, wattline.serving.app; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "[]\n"
