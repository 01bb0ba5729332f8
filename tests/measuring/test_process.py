"""A contender's process: what it says is what the model says, and nothing of it is left, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import mean_abs, signature

from measuring import contenders
from wattline.energy.paired.worker import BrokenError
from wattline.errors import InputError
from wattline.measuring import requests
from wattline.measuring.process import Process

CHOSEN = requests.choose(contenders.ROWS.test, 50)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start the process of a small contender; it is stopped afterwards."""
    folder, running = tmp_path / "candidate", []
    candidate = contenders.write(folder)
    windows, units = requests.windows_of(CHOSEN, signature(), contenders.ROWS.columns)
    np.savez(tmp_path / "asked.npz", windows=windows, units=units)

    def run(*, digest: str = candidate.digest, timeout_seconds: float = 30.0, device: str = "cpu") -> Process:
        options = {"name": "the candidate", "batch": 16, "timeout_seconds": timeout_seconds, "device": device}
        running.append(Process(folder, tmp_path / "asked.npz", digest=digest, **options))
        return running[-1]

    yield run
    for process in running:
        process.stop()


def test_answers_are_those_of_the_model(start):
    process = start()
    process.answer(1)
    windows, units = requests.windows_of(CHOSEN, signature(), contenders.ROWS.columns)
    np.testing.assert_allclose(process.answers()["score"], mean_abs(windows, units), rtol=1e-5)


def test_a_device_that_is_not_there_is_an_error_and_no_other_one_is_taken(start):
    with pytest.raises(InputError, match=r"device is cuda, but .*; install onnxruntime-gpu"):
        start(device="cuda").answer(1)


def test_they_are_the_same_however_often_and_by_whom_they_are_asked(start):
    first, second = start(), start()
    first.answer(1)
    second.answer(3)
    assert first.answers_sha256() == second.answers_sha256()
    first.answer(7)
    assert first.answers_sha256() == second.answers_sha256()


def test_more_passes_take_more(start):
    process = start()
    process.answer(50)
    few, many = process.answer(50), process.answer(1000)
    assert many.cpu_seconds > 3 * few.cpu_seconds
    assert many.seconds >= many.cpu_seconds * 0.9
    assert many.stalled_seconds < many.seconds / 2


def test_other_files_than_those_that_were_read_are_refused(start):
    with pytest.raises(BrokenError, match="changed meanwhile"):
        start(digest="f" * 64).answer(1)


def test_one_that_ends_while_loading_is_told(start):
    process = start()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(BrokenError, match="was ended by signal 9"):
        process.answer(1)


def test_one_that_hangs_while_loading_is_told(start):
    process = start(timeout_seconds=0.01)
    with pytest.raises(BrokenError, match=r"hangs: no answer within 0\.01 s"):
        process.answer(1)


def test_one_that_is_asked_after_its_end_says_so(start):
    process = start()
    process.answer(1)
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(BrokenError, match="was ended by signal 9"):
            process.answer(1)


def test_a_crash_says_what_the_process_said_last(start, tmp_path):
    (tmp_path / "asked.npz").write_bytes(b"no requests")
    with pytest.raises((BrokenError, InputError), match="the candidate"):
        start().answer(1)


def test_requests_are_never_unpickled(start, tmp_path):
    np.savez(tmp_path / "asked.npz", windows=np.array([{"a": 1}], dtype=object), units=np.zeros(1, np.int64))
    with pytest.raises(BrokenError, match="allow_pickle=False"):
        start().answer(1)


def test_stopping_ends_one_that_was_stopped_by_a_signal(start):
    process = start()
    process.answer(1)
    os.kill(process.pid, signal.SIGSTOP)
    process.stop()
    assert not Path(f"/proc/{process.pid}").exists()
    process.stop()


PARENT = """
import sys
from pathlib import Path
from wattline.measuring.process import Process

folder, asked, digest = sys.argv[1:]
process = Process(Path(folder), Path(asked), digest=digest, name="it", batch=16, timeout_seconds=60)
process.answer(1)
print(process.pid, flush=True)
process.answer(10**9)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_a_session_that_is_killed_even_in_the_middle_of_its_work(start, tmp_path, stopped):
    digest = contenders.write(tmp_path / "candidate").digest
    words = [sys.executable, "-c", PARENT, str(tmp_path / "candidate"), str(tmp_path / "asked.npz"), digest]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
    assert _gone(pid)


def _gone(pid: int) -> bool:
    """Whether the process ends within a minute; as a zombie it has."""
    for _ in range(600):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False
