"""What the machine says of itself: clocks that part company are noticed, and others' work is told from ours."""

import os
import subprocess
import sys
import time

import pytest

from wattline.energy.paired.machine import Clocks, Host, disturbance

BEFORE = Clocks(wall=1000.0, awake=10.0, elapsed=20.0)


def after(seconds: float, *, stepped: float = 0.0, suspended: float = 0.0) -> Clocks:
    return Clocks(
        wall=BEFORE.wall + seconds + stepped,
        awake=BEFORE.awake + seconds - suspended,
        elapsed=BEFORE.elapsed + seconds,
    )


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3600.0])
def test_clocks_that_agree_disturb_nothing(seconds):
    assert disturbance(BEFORE, after(seconds)) is None
    assert disturbance(BEFORE, after(seconds, stepped=0.05)) is None


def test_a_clock_that_is_slewed_disturbs_nothing():
    assert disturbance(BEFORE, after(3600.0, stepped=3600 * 500e-6)) is None


@pytest.mark.parametrize("step", [-3600.0, -1.0, 0.2, 1e9])
def test_a_clock_that_stepped_is_noticed(step):
    assert f"the clock stepped by {step:+.1f} s" in (disturbance(BEFORE, after(1.0, stepped=step)) or "")


def test_a_suspended_machine_is_noticed():
    assert "the machine was suspended for 5.0 s" in (disturbance(BEFORE, after(6.0, suspended=5.0)) or "")


def test_clocks_of_this_machine_agree():
    host = Host()
    before = host.clocks()
    host.sleep(0.05)
    assert disturbance(before, host.clocks()) is None


def test_our_own_work_is_in_both_figures():
    host = Host()
    busy, own = host.busy_seconds(), host.own_seconds([])
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    assert host.own_seconds([]) - own >= 0.5
    assert host.busy_seconds() - busy >= 0.4


def test_the_work_of_a_process_counts_while_it_lives_and_after():
    host, own = Host(), Host().own_seconds([])
    code = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        alive = host.own_seconds([process.pid]) - own
        process.communicate(b"\n")
    assert alive >= 0.3
    assert host.own_seconds([]) - own >= 0.3


def test_a_process_that_is_gone_counts_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process.pid != os.getpid()
    assert Host().own_seconds([process.pid]) >= 0
