"""Programs on a core of their own, and what they use of this machine."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
START_SECONDS = 240.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.01


class StartError(Exception):
    """A server did not answer in time, or ended."""


def pinned(core: int, command: Sequence[str | Path]) -> list[str]:
    """The same command, on one core."""
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


def free_port() -> int:
    """A port of loopback on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class Server:
    """A server and all that it started.

    port: where it listens
    ready_seconds: from the start of its process to the first 200
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        port: int,
        ready: str,
        folder: Path,
        variables: Mapping[str, str],
        log: Path,
    ) -> None:
        """Start it. Raises StartError with the end of its log unless `ready` answers 200 within START_SECONDS."""
        self.port = port
        self._log = log
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        begin = time.perf_counter()
        with log.open("wb") as stream:
            self._process = psutil.Popen(
                pinned(SERVER_CORE, command),
                cwd=folder, env=kept | dict(variables), stdout=stream, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._await(ready, begin)
        self.ready_seconds = time.perf_counter() - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await(self, ready: str, begin: float) -> None:
        while time.perf_counter() - begin < START_SECONDS:
            with suppress(OSError, http.client.HTTPException):
                if self.port and get(self.port, ready) == 200:
                    return
            if self._process.poll() is not None:
                break
            self.port = self.port or self._announced()
            time.sleep(POLL_SECONDS)
        self.stop()
        raise StartError(f"it did not become ready; the end of its log: {self.log()[-400:]}")

    def _announced(self) -> int:
        """The port that the server says it found, 0 as long as it did not."""
        _, _, rest = self.log().partition("serving at http://")
        address, end, _ = rest.partition("\n")
        return int(address.strip().rpartition(":")[2]) if end else 0

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def tree(self) -> list[psutil.Process]:
        """Its processes."""
        with suppress(psutil.NoSuchProcess):
            return [self._process, *self._process.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far [s]."""
        total = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def mebibytes(self) -> float:
        """Resident memory of all its processes, shared pages divided among those that share them (PSS) [MiB]."""
        total = 0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 2**20

    def stop(self) -> None:
        """End all its processes, each by its number."""
        tree = self.tree()
        with suppress(psutil.NoSuchProcess):
            self._process.terminate()
        psutil.wait_procs(tree[:1], timeout=STOP_SECONDS)
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(tree, timeout=STOP_SECONDS)


def get(port: int, path: str) -> int:
    """HTTP status of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


class Meter:
    """What happens on the two cores between its making and `read`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cpu, self._busy, self._begin = server.cpu_seconds(), busy_seconds(), time.perf_counter()

    def read(self, *, client_seconds: float) -> tuple[float, float]:
        """CPU seconds of the server, and the share of both cores that neither it nor the client used.

        client_seconds: CPU time of the client [s]
        """
        used = self._server.cpu_seconds() - self._cpu
        seconds = time.perf_counter() - self._begin
        foreign = busy_seconds() - self._busy - used - client_seconds
        return used, max(0.0, foreign / (len({SERVER_CORE, CLIENT_CORE}) * seconds))


def busy_seconds() -> float:
    """CPU time that both cores spent on anything since the machine's start, other guests of its host included [s]."""
    times = psutil.cpu_times(percpu=True)
    return sum(sum(times[core][:8]) - times[core].idle - times[core].iowait for core in {SERVER_CORE, CLIENT_CORE})
