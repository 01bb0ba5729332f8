"""Starts the project's own server on a candidate, and ends it whatever happens."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wattline.energy.meters import cpu_time
from wattline.errors import WattlineError
from wattline.measuring.serving.hosted import Order
from wattline.params import ServingParams

HOST = "127.0.0.1"
STOP_SECONDS = 15.0
"""How long a server may take to end; then it is killed [s]."""
POLL_SECONDS = 0.02
SHOWN_CHARACTERS = 300
PREFIX = "wattline: "
"""Of the line that says why a server ended."""
LONGEST_OUTPUT = 2**20


class ServingError(WattlineError):
    """A server that did not start, did not last, or did not answer everything: there is no figure."""

    exit_code = 2


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    port: of loopback, where it listens
    log: folder of its log of answers; None: it keeps none
    params: what it was started with
    """

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path | None
    params: ServingParams
    _errors: IO[bytes]

    def problem(self) -> str:
        """Why it does not answer as it should, for a message."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0)
        return _problem(self.process, self._errors)


def private(params: ServingParams, scratch: Path) -> ServingParams:
    """`params` for a server that nobody else asks: on loopback, any port, without keys, all files in `scratch`.

    What costs energy stays: workers, batching, limits, and the log of answers where there is one. The candidate is not
    signed yet, so no signature is asked for.
    """
    return params.model_copy(
        update={
            "host": HOST,
            "port": 0,
            "drain_seconds": 0.0,
            "model": params.model.model_copy(update={"origin": "folder", "signature": "optional", "trusted_keys": ()}),
            "canary": params.canary.model_copy(update={"mode": "off"}),
            "auth": params.auth.model_copy(update={"mode": "none", "rate_per_second": 0.0}),
            "log": params.log.model_copy(update={"folder": str(scratch / "log") if params.log.folder else ""}),
            "observe": params.observe.model_copy(update={"file": str(scratch / "observe.db")}),
        }
    )


@contextmanager
def served(
    folder: Path, params: ServingParams, *, model: str, watts_per_core: float, ready_seconds: float
) -> Iterator[Server]:
    """A server of the candidate in `folder` that is ready; it is ended and its files removed, whatever happens inside.

    params: of the project; `private` of them are used
    Raises ServingError, saying why, when it ends before it is ready or takes longer than `ready_seconds`.
    """
    scratch = Path(tempfile.mkdtemp(prefix="wattline-measured-"))
    try:
        order = Order(private(params, scratch), model, folder, scratch, watts_per_core)
        with started(order, ready_seconds=ready_seconds) as server:
            yield server
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def started(order: Order, *, ready_seconds: float) -> Iterator[Server]:
    """The server that `order` describes, ready; ended afterwards. Raises ServingError as `served` does."""
    command = [sys.executable, "-m", "wattline.measuring.serving.hosted"]
    # Files without a name, since the server's own folder goes with it.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=errors)
        try:
            _tell(process, order)
            port = _ready(process, output, errors, seconds=ready_seconds)
            log = Path(order.params.log.folder) if order.params.log.folder else None
            yield Server(process, port, log, order.params, errors)
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server and its workers, each by its number: told to first, killed when it takes too long."""
    workers = list(cpu_time.descendants(process.pid)) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    _end_workers(workers)


def _tell(process: "subprocess.Popen[bytes]", order: Order) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended; why is found out where it is waited for
        process.stdin.write(order.to_json())
        process.stdin.flush()


def _ready(process: "subprocess.Popen[bytes]", output: IO[bytes], errors: IO[bytes], *, seconds: float) -> int:
    """The port, once /readyz is answered 200."""
    overdue = time.monotonic() + seconds
    while time.monotonic() < overdue:
        if process.poll() is not None:
            raise ServingError(f"the server did not start: {_problem(process, errors)}")
        found = re.search(r"serving at http://[^\n]*:(\d+)\n", _text(output))
        if found and _status(int(found[1]), "/readyz") == 200:
            return int(found[1])
        time.sleep(POLL_SECONDS)
    raise ServingError(
        f"the server was not ready after {seconds:g} s: {_problem(process, errors)}; "
        "see measure.serving.timeout_seconds"
    )


def _status(port: int, path: str) -> int:
    """HTTP status of a GET; 0 where nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _problem(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> str:
    code = process.poll()
    state = "it still runs" if code is None else f"it ended with exit code {code}"
    said = [line.strip() for line in _text(errors).splitlines() if line.strip() and not line.startswith("WARNING ")]
    if not said:
        return state
    last = next((line for line in said if line.startswith(PREFIX)), said[-1])
    return f"{state} and said: {last.removeprefix(PREFIX)[:SHOWN_CHARACTERS]}"


def _text(stream: IO[bytes]) -> str:
    """What the server has written so far; the place where it goes on writing is left alone."""
    return os.pread(stream.fileno(), LONGEST_OUTPUT, 0).decode(errors="replace")


def _end_workers(workers: list[int]) -> None:
    """Wait for the workers of a supervisor that has ended, which they notice; then kill those that are left."""
    overdue = time.monotonic() + STOP_SECONDS
    while any(map(_runs, workers)) and time.monotonic() < overdue:
        time.sleep(POLL_SECONDS)
    for worker in filter(_runs, workers):
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
