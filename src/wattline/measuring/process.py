"""A contender's process, seen from outside: started, told what to do, watched, and killed on every way out."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from wattline.energy.meters import Device
from wattline.energy.paired.worker import Answered, BrokenError
from wattline.errors import InputError
from wattline.task import Outputs

LOOK_SECONDS = 0.5
"""How often is looked whether a process that says nothing was stopped [s]."""
END_SECONDS = 5.0
"""How long a process may take to end after it closed its output [s]."""
CHUNK = 65536


class Process:
    """One process that holds a contender and the requests; see `wattline.measuring.worker`. It loads on its own.

    folder: of the candidate
    digest: of the candidate record that must be there
    requests: file of windows and units, in a folder where answers may be saved, too
    name: what messages call it
    device: what its graph runs on
    timeout_seconds: longest time for loading, and for one reply [s]

    The first order that it is given raises InputError when the contender cannot be loaded.
    """

    def __init__(
        self,
        folder: Path,
        requests: Path,
        *,
        digest: str,
        name: str,
        batch: int,
        timeout_seconds: float,
        device: Device = "cpu",
    ) -> None:
        self._name, self._timeout, self._scratch = name, timeout_seconds, requests.parent
        self._folder, self._expected, self._loaded = folder, digest, False
        self._unread = b""
        self._errors: IO[bytes] = TemporaryFile()  # noqa: SIM115  # as long as the process
        words = (sys.executable, "-P", "-m", "wattline.measuring.worker", folder, requests, str(batch), device)
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for us, who then end it
        )
        self.pid = self._process.pid

    def answer(self, passes: int) -> Answered:
        return Answered(**self._ask({"answer": passes}))

    def answers_sha256(self) -> str:
        return str(self._ask({"digest": True})["sha256"])

    def answers(self) -> Outputs:
        path = self._scratch / f"answers-{self.pid}.npz"
        self._ask({"save": str(path)})
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        finally:
            path.unlink()

    def stop(self) -> None:
        # It has nothing to save. SIGKILL also ends what was stopped.
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                _close(stream)

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._await_loading()
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # nobody reads there any more
            raise self._ended() from None
        reply = self._reply()
        if "error" in reply:
            raise BrokenError(f"{self._name} failed: {reply['error']}")
        return reply

    def _await_loading(self) -> None:
        if self._loaded:
            return
        loaded = self._reply()
        if "error" in loaded:
            raise InputError(f"{self._name} cannot be loaded: {loaded['error']}")
        if loaded["digest"] != self._expected:
            raise BrokenError(f"the files of {self._name} in {self._folder} changed meanwhile; run the test again")
        self._loaded = True

    def _reply(self) -> dict[str, Any]:
        """The next line. Raises BrokenError when none comes in time, or when the process ended or was stopped."""
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BrokenError(
                    f"{self._name} hangs: no answer within {self._timeout:g} s (measure.session.timeout_seconds)"
                )
            self._read(min(left, LOOK_SECONDS))
            self._check_never_stopped()
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _read(self, seconds: float) -> None:
        assert self._process.stdout is not None
        place = self._process.stdout.fileno()
        if select.select([place], [], [], seconds)[0]:
            content = os.read(place, CHUNK)
            if not content:
                raise self._ended()
            self._unread += content

    def _check_never_stopped(self) -> None:
        """The kernel tells a parent when its child is stopped or goes on: a sample with such a pause means nothing."""
        with suppress(ChildProcessError):  # it ended, which reading tells
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG) is None:
                return
            raise BrokenError(f"the process of {self._name} was suspended by a signal; run the test again")

    def _ended(self) -> BrokenError:
        """How the process ended, once it has."""
        try:
            code = self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            return BrokenError(f"{self._name} closed its output and hangs")
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return BrokenError(f"the process of {self._name} {how}" + (f": {said[-1][:200]}" if said else ""))


def _close(stream: IO[bytes]) -> None:
    with suppress(OSError):  # what was still to be written has no reader
        stream.close()
