"""Work on a GPU is waited for through the driver that the program has loaded, and CUDA is never started for that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wattline.settings import settings

PROGRAM = """
import ctypes, sys
for library in set(sys.argv[1:]) - {"?"}:
    ctypes.CDLL(library)
from wattline.energy.meters import MeterError, cuda
try:
    print("in use:", cuda.in_use()) if "?" in sys.argv else cuda.synchronise()
except MeterError as error:
    print(error)
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The fake, compiled. Without a C compiler the tests are skipped, except in CI."""
    compiler = shutil.which("cc")
    if compiler is None:
        assert not settings().ci, "cc is missing; apt-get install gcc libc6-dev"
        pytest.skip("needs a C compiler (cc) for the fake CUDA driver")
    target = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).parents[1] / "fake_cuda.c"
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Wl,-soname,libcuda.so.1", "-o", target, source]
    subprocess.run(command, check=True)
    return target


def run(*loaded, state="0 2 1 0"):
    """What the driver was asked for, in a process of its own: a library cannot be unloaded."""
    environment = os.environ | {"FAKE_CUDA": state}
    command = [sys.executable, "-c", PROGRAM, *map(str, loaded)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_context_in_use_is_waited_for_and_left_as_it_was(driver):
    assert run(driver) == ["retain 41", "push 700000000029", "synchronise", "pop", "release 41", "done"]


def test_no_context_is_made_where_there_is_none(driver):
    assert run(driver, state="0 2 -1 0") == ["done"]


@pytest.mark.parametrize("outcome", [3, 4])
def test_a_driver_that_is_loaded_and_not_used_is_left_alone(driver, outcome):
    assert run(driver, state=f"{outcome} 0 0 0") == ["done"]


def test_a_process_without_the_driver_does_not_load_it(driver):
    assert run() == ["done"]


def test_work_that_failed_is_an_error_and_the_context_is_left_as_it_was(driver):
    asked = run(driver, state="0 2 1 700")
    assert asked[2:5] == ["synchronise", "pop", "release 41"]
    assert asked[5].startswith("CUDA's cuCtxSynchronize failed with error 700; work on the GPU failed")


def test_a_driver_that_answers_with_an_error_is_an_error(driver):
    assert run(driver, state="999 0 0 0")[0].startswith("CUDA's cuDeviceGetCount failed with error 999")


@pytest.mark.parametrize(
    ("state", "found"),
    [("0 2 1 0", True), ("0 2 -1 0", False), ("3 0 0 0", False)],
    ids=["used", "idle", "not started"],
)
def test_whether_a_gpu_is_used_is_known(driver, state, found):
    assert run(driver, "?", state=state) == [f"in use: {found}", "done"]


def test_a_process_without_the_driver_uses_no_gpu():
    assert run("?") == ["in use: False", "done"]
