"""SIGTERM as an orderly end: whatever was started is stopped, and no temporary file stays."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

Say = Callable[[str], object]

SECONDS_TO_END = 10
"""After which what was asked to end is killed."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, with which CI ends a job, pass through `finally` as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def streamed(command: Sequence[str], *, folder: Path, say: Say, keep_open: Sequence[int] = ()) -> int:
    """Run `command`, hand every line to `say` as it comes, and give the exit code. Interrupted, nothing goes on.

    keep_open: file descriptors that the command inherits, e.g. of a lock that it holds for as long as it lives
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=keep_open,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                say(line.rstrip("\n"))
            return process.wait()
        except BaseException:
            _end(process)
            raise


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process with its whole group: DVC alone would leave its stage running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
