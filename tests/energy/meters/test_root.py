"""An estimate for another process: all of its tree, nothing of whoever asks, and no figure when it is gone."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from wattline.energy.meters import Estimate, MeterError, choose
from wattline.params import EnergyParams

WATTS = 10.0
KNOWN = {"watts_per_core": WATTS, "watts_source": "a test", "idle_share": 0.0, "idle_source": "a test"}
BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BURN.format(seconds=0.4)!r} + "print(flush=True); input()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
input()
child.communicate()
print(flush=True)
input()
"""
"""Its child works and waits; when it is told to, it lets the child end, and waits itself."""


@pytest.fixture
def parent() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def proceed(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def wait(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"


def test_what_its_children_do_counts_while_they_live_and_afterwards(parent: "subprocess.Popen[bytes]"):
    meter = Estimate(**KNOWN, root=parent.pid)
    meter.start()
    wait(parent)
    first = meter.stop()
    assert first.joules >= 0.9 * 0.4 * WATTS
    meter.start()
    proceed(parent)
    wait(parent)
    assert meter.stop().joules < 0.2 * WATTS  # the child's time is the parent's now, and is not counted again


def test_work_of_who_asks_does_not_count(parent: "subprocess.Popen[bytes]"):
    wait(parent)
    meter = choose(EnergyParams(**KNOWN, meter="estimate"), root=parent.pid)
    meter.start()
    begin = time.process_time()
    while time.process_time() - begin < 0.3:
        pass
    assert meter.stop().joules < 0.1 * 0.3 * WATTS


@pytest.mark.parametrize("begun", [True, False])
def test_a_process_that_is_gone_gives_no_figure(parent: "subprocess.Popen[bytes]", begun: bool):
    meter = Estimate(**KNOWN, root=parent.pid)
    if begun:
        meter.start()
    parent.kill()
    parent.wait()
    with pytest.raises(MeterError, match=f"process {parent.pid}, whose CPU time is to be read, does not run"):
        (meter.stop if begun else meter.start)()
