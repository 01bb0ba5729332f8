"""Servers of other people in process groups of their own: started, waited for, ended with all their children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS_TO_START = 240
# PostgreSQL refuses to run as root; this user exists everywhere.
UNPRIVILEGED = 65534


@dataclass(frozen=True)
class Server:
    """A process that answers.

    pid: also the id of its process group
    log: what it has written
    """

    pid: int
    log: Path


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def unprivileged() -> dict[str, object]:
    """Arguments for subprocess: run as somebody who is not root."""
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def serving(
    command: Sequence[str | Path],
    *,
    answers: Callable[[], bool],
    log: Path,
    environment: Mapping[str, str],
    stop: signal.Signals = signal.SIGKILL,
    **options: object,
) -> Iterator[Server]:
    """A server from the moment when it `answers`; at the end its whole process group is gone.

    stop: what its first process is told at the end, before the rest of its group is killed
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, stdout=stream, stderr=stream, env={**os.environ, **environment}, start_new_session=True, **options
        )
    with guarded(process):
        try:
            until = time.monotonic() + SECONDS_TO_START
            while not answers():
                assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()}"
                assert time.monotonic() < until, f"{command[0]} does not answer:\n{log.read_text()}"
                time.sleep(0.05)
            yield Server(process.pid, log)
        finally:
            end(process, stop)


@contextmanager
def guarded(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The process's group ends when the tests are themselves killed: then the pipe that its guard reads from breaks."""
    command = ["sh", "-c", 'read -r _; kill -s KILL -- "-$0"', str(process.pid)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def end(process: "subprocess.Popen[bytes]", stop: signal.Signals) -> None:
    """End a process group, kindly if `stop` is kind, and wait until nobody of it is left."""
    try:
        if stop != signal.SIGKILL:
            process.send_signal(stop)
            process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        pass
    finally:
        while group_runs(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.02)
        process.wait()


def group_runs(group: int) -> bool:
    """Whether any process of this group still runs. One that only waits to be collected does not."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name in brackets: state, parent, group.
            state, _, found = status.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(found) == group and state not in "ZX":
            return True
    return False
