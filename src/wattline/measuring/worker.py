"""The process of one contender: it holds a model and the fixed requests, and answers them when it is told to.

    python -P -m wattline.measuring.worker FOLDER REQUESTS.npz BATCH DEVICE

Orders come as JSON lines on the standard input, replies go as JSON lines to the standard output:

    (first of all)            {"digest": "..."}  once the model is loaded
    {"answer": PASSES}        {"seconds": ..., "cpu_seconds": ..., "waited_seconds": ...}
    {"digest": true}          {"sha256": "..."}  of the answers of the last pass
    {"save": "ANSWERS.npz"}   {"saved": "ANSWERS.npz"}  the answers of the last pass

`{"error": "..."}` is the reply where something is wrong; the process ends after it, and when the input does.
"""

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wattline.errors import WattlineError
from wattline.serving.inference.engine import Engine

SCHEDSTAT = Path("/proc/self/schedstat")
PR_SET_PDEATHSIG = 1

Answers = Mapping[str, NDArray[Any]]


class Work:
    """A loaded model and its requests in batches."""

    def __init__(self, folder: Path, requests: Path, *, batch: int, device: str) -> None:
        self._engine = Engine(folder, device=device)
        with np.load(requests, allow_pickle=False) as arrays:
            windows, units = arrays["windows"], arrays["units"]
        self._batches = [(windows[at : at + batch], units[at : at + batch]) for at in range(0, len(units), batch)]
        self._answers: list[Answers] = []

    @property
    def digest(self) -> str:
        return self._engine.candidate.digest

    def answer(self, passes: int) -> Mapping[str, float]:
        """Answer everything `passes` times, and keep the last answers. Nothing else is done between the clocks."""
        engine, batches, answers = self._engine, self._batches, self._answers
        seconds, cpu_seconds, waited = time.perf_counter(), time.process_time(), waited_seconds()
        for _ in range(passes):
            answers = [engine.run(windows, units) for windows, units in batches]
        found = {
            "seconds": time.perf_counter() - seconds,
            "cpu_seconds": time.process_time() - cpu_seconds,
            "waited_seconds": waited_seconds() - waited,
        }
        self._answers = answers
        return found

    def joined(self) -> Answers:
        """The answers of the last pass, batches put together."""
        names = sorted(self._answers[0]) if self._answers else []
        return {name: np.concatenate([answers[name] for answers in self._answers]) for name in names}


def main(arguments: list[str]) -> None:
    """Do what comes in until there is no more."""
    end_with_parent()
    replies = private_output()
    folder, requests, batch, device = arguments
    try:
        work = Work(Path(folder), Path(requests), batch=int(batch), device=device)
        reply(replies, {"digest": work.digest})
        for line in sys.stdin:
            order, value = next(iter(json.loads(line).items()))
            reply(replies, ORDERS[order](work, value))
    except (WattlineError, OSError, MemoryError) as error:
        reply(replies, {"error": str(error) or type(error).__name__})


def digest(work: Work, _: Any) -> Mapping[str, str]:
    """SHA-256 over names, types, shapes and bytes of the answers."""
    found = hashlib.sha256()
    for name, values in work.joined().items():
        found.update(f"{name}:{values.dtype.str}:{values.shape}".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return {"sha256": found.hexdigest()}


def save(work: Work, path: str) -> Mapping[str, str]:
    np.savez(path, allow_pickle=False, **work.joined())
    return {"saved": path}


ORDERS: Mapping[str, Callable[[Work, Any], Mapping[str, Any]]] = {
    "answer": lambda work, passes: work.answer(int(passes)),
    "digest": digest,
    "save": save,
}


def reply(stream: IO[str], message: Mapping[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def waited_seconds() -> float:
    """How long this thread was ready to run while others had the core [s]; 0 on kernels that do not count it."""
    try:
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def private_output() -> IO[str]:
    """A stream to where the standard output went. What libraries print goes to the standard error from now on."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def end_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that happens, even while it is stopped."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended a moment before
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
