"""An estimate says that it is one and what it rests on, and counts the CPU time of the whole process tree."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from wattline.energy.meters import Estimate, MeterError, cpu_time
from wattline.energy.meters.cpu_time import CpuTime

STATED = {"watts_per_core": 12.5, "watts_source": "data sheet", "idle_share": 0.0, "idle_source": "none"}
SPIN = "import time\nwhile time.process_time() < {seconds}: pass\n"

SKEW = 0.01  # between the moments at which the two clocks are read [s]


def scripted(monkeypatch, *seconds, resolution=0.0):
    readings = iter(CpuTime(reading, resolution, frozenset()) for reading in seconds)
    monkeypatch.setattr(cpu_time, "tree", lambda known=frozenset(): next(readings))


def test_it_is_cpu_time_times_watts_and_says_so(monkeypatch, clock):
    scripted(monkeypatch, 10.0, 12.0, resolution=0.02)
    meter = Estimate(**STATED)
    clock.append(100.0)
    meter.start()
    clock.append(103.0)
    energy = meter.stop()
    assert energy.joules == 25.0
    assert energy.seconds == 3.0
    assert energy.interval == (17.5, 32.5)
    assert energy.provenance == "estimated"
    assert energy.scope == "processes"
    assert energy.resolution_joules == 0.25
    assert energy.sensor == "CPU time x 12.5 W/core (data sheet)"
    assert energy.boundary == "CPU cores of this process tree; no memory, no accelerator, no idle power"
    assert energy.parameters == {
        "watts_per_core": "12.5 W",
        "watts_source": "data sheet",
        "idle_share": "0 of watts_per_core",
        "idle_source": "none",
        "watts_uncertainty": "+/- 30%, assumed",
    }


def test_a_share_of_idle_power_is_charged_on_top_and_named(monkeypatch, clock):
    scripted(monkeypatch, 10.0, 12.0)
    meter = Estimate(**STATED | {"idle_share": 0.4, "idle_source": "the site's meter"})
    meter.start()
    energy = meter.stop()
    assert energy.joules == pytest.approx(35.0)
    assert energy.sensor == "CPU time x 12.5 W/core x 1.4 (data sheet)"
    assert energy.boundary.endswith("idle power as 0.4 of a busy core's (the site's meter)")
    assert energy.parameters["idle_share"] == "0.4 of watts_per_core"
    assert energy.parameters["idle_source"] == "the site's meter"


def test_it_counts_this_process():
    meter = Estimate(**STATED)
    meter.start()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert meter.stop().joules >= 0.05 * 12.5


@contextmanager
def spinning(program):
    child = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        yield child
    finally:
        child.stdin.close()  # what waits for input ends
        child.stdout.read()
        child.stdout.close()
        child.wait(timeout=60)


def used(since, until):
    """CPU time of others than this process [s]."""
    return until[0].seconds - since[0].seconds - (until[1] - since[1])


def look(known=frozenset()):
    return cpu_time.tree(known), time.process_time()


def test_children_count_while_they_live_when_they_end_and_after_they_were_waited_for():
    before = look()
    with spinning(SPIN.format(seconds=0.2) + "print(flush=True)\nimport sys; sys.stdin.read()") as child:
        child.stdout.readline()
        living = look(before[0].processes)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        ended = look(living[0].processes)
    after = look(ended[0].processes)
    assert used(before, living) >= 0.2 - SKEW
    assert used(living, ended) >= -SKEW
    assert used(ended, after) >= -SKEW
    assert used(before, after) == pytest.approx(0.2, abs=0.1)


def test_grandchildren_count_living_and_ended():
    inner = repr(SPIN.format(seconds=0.2))
    program = f"""
import subprocess, sys
print(flush=True); input()
subprocess.run([sys.executable, "-S", "-c", {inner}])
print(flush=True); sys.stdin.read()
"""
    with spinning(program) as child:
        child.stdout.readline()
        before = look()
        child.stdin.write(b"\n")
        child.stdin.flush()
        seen = []
        while used(before, seen[-1] if seen else before) < 0.1:
            seen.append(look())
            time.sleep(0.005)
        child.stdout.readline()
        ended = look()
        child.stdin.close()
    after = look()
    steps = [used(earlier, later) for earlier, later in zip([before, *seen], [*seen, ended, after], strict=False)]
    assert min(steps) >= -2 * cpu_time._TICK_SECONDS - SKEW  # what is waited for is told in ticks
    assert used(before, ended) >= 0.2 - 2 * cpu_time._TICK_SECONDS - SKEW
    assert ended[0].resolution > before[0].resolution


ORPHAN = """
import os, sys, time
if os.fork() == 0:
    print(os.getpid(), flush=True)
    while time.process_time() < {before}: pass
    print(flush=True)
    while not os.path.exists({signal!r}): time.sleep(0.002)
    while time.process_time() < {after}: pass
    print(flush=True)
    time.sleep(60)
sys.stdin.read()
"""


def test_a_process_that_lost_its_parent_counts_as_long_as_it_lives(tmp_path):
    """What it used before may not be taken off from what others use."""
    program = ORPHAN.format(before=0.3, after=0.5, signal=str(tmp_path / "go"))
    with spinning(program) as child:
        orphan = int(child.stdout.readline())
        try:
            child.stdout.readline()
            before = look()
            child.stdin.close()
            child.wait()  # now the orphan is init's
            (tmp_path / "go").touch()
            child.stdout.readline()
            after = look(before[0].processes)
        finally:
            os.kill(orphan, signal.SIGKILL)
    assert used(before, after) == pytest.approx(0.2, abs=0.1)
    assert orphan in {process.number for process in after[0].processes}


def test_a_process_that_lost_its_parent_counts_in_the_next_reading_and_takes_nothing_with_it_when_it_ends(tmp_path):
    program = ORPHAN.format(before=0.3, after=0.5, signal=str(tmp_path / "go"))
    meter = Estimate(**STATED)
    watts = STATED["watts_per_core"] * (1 + STATED["idle_share"])
    with spinning(program) as child:
        orphan = int(child.stdout.readline())
        try:
            child.stdout.readline()
            meter.start()
            child.stdin.close()
            child.wait()
            meter.stop()
            meter.start()
            (tmp_path / "go").touch()
            child.stdout.readline()
            # Servers that other tests share are in the tree, too, and take a little.
            assert 0.1 * watts < meter.stop().joules < 0.45 * watts
            meter.start()
        finally:
            os.kill(orphan, signal.SIGKILL)
    until = time.monotonic() + 10
    while orphan in {process.number for process in cpu_time.tree(meter._known).processes} and time.monotonic() < until:
        time.sleep(0.2)  # each look costs CPU time of ours
    assert 0 <= meter.stop().joules < 0.45 * watts


def test_a_tree_whose_children_are_waited_for_all_the_time_is_read_nevertheless(monkeypatch):
    used = iter(range(1000))
    monkeypatch.setattr(cpu_time, "_waited_for", lambda: 0.01 * next(used))
    assert 0.008 < cpu_time.tree().resolution < 1
    assert next(used) < 100


def test_cpu_time_that_was_lost_is_an_error(monkeypatch, clock):
    scripted(monkeypatch, 10.0, 9.97, resolution=0.02)
    meter = Estimate(**STATED)
    meter.start()
    with pytest.raises(MeterError, match=r"went back by 0.03 s: .* took its CPU time with it"):
        meter.stop()


def test_cpu_time_that_went_back_by_a_tick_is_none(monkeypatch, clock):
    scripted(monkeypatch, 10.0, 9.99, resolution=0.02)
    meter = Estimate(**STATED)
    meter.start()
    assert meter.stop().joules == 0.0


def test_a_number_that_another_process_has_now_is_not_taken_for_the_old_one():
    before = cpu_time.tree()
    impostor = cpu_time.Process(number=1, began=-1)
    assert impostor not in cpu_time.tree(before.processes | {impostor}).processes


def test_it_cannot_be_stopped_before_it_was_started():
    with pytest.raises(MeterError, match="call start"):
        Estimate(**STATED).stop()


def test_the_same_work_costs_the_same():
    """CPU time is steady where wall time is not: five runs on a machine that may be busy."""
    meter = Estimate(**STATED)
    spent = []
    for _ in range(5):
        meter.start()
        subprocess.run([sys.executable, "-S", "-c", SPIN.format(seconds=0.2)], check=True)
        spent.append(meter.stop().joules)
    assert max(spent) / min(spent) < 1.2
