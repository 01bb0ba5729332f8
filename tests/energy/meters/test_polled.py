"""A meter of power that is asked again and again: what holds for each, whatever it asks."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wattline.energy.meters import MeterError
from wattline.energy.meters.polled import Polled

SOURCE = Path(__file__).parents[3] / "src"
# A meter of 100 W that trembles, in a process of its own that says when it measures.
READER = """
import itertools, sys
from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.polled import Polled
watts = itertools.cycle([100.0, 100.5])
meter = Polled(lambda: next(watts), name="m", sensor="s", boundary="b", interval_seconds=0.05, resolution_watts=0.5,
               refresh_seconds=0.05)
meter.start()
print("measures", flush=True)
sys.stdin.readline()
try:
    print(meter.stop().joules)
except MeterError as error:
    print("MeterError", error)
"""


def meter(read, *, interval=0.02, refresh=0.02):
    return Polled(
        read, name="m", sensor="s", boundary="b", interval_seconds=interval, resolution_watts=1.0,
        refresh_seconds=refresh, parameters={"refresh": "assumed"},
    )  # fmt: skip


def test_a_second_start_begins_anew_and_leaves_no_thread():
    found = meter(lambda: 100.0)
    found.start()
    time.sleep(0.3)
    found.start()
    time.sleep(0.1)
    assert found.stop().seconds < 0.25
    assert "power-sampler" not in {thread.name for thread in threading.enumerate()}


def test_the_record_says_how_it_was_made():
    found = meter(lambda: 100.0, interval=0.02)
    found.start()
    time.sleep(0.2)
    energy = found.stop()
    assert energy.resolution_joules == pytest.approx(0.02)
    assert energy.parameters["refresh"] == "assumed"
    assert energy.parameters["readings"].endswith("readings, one every 0.02 s")
    half_a_step = energy.seconds / 2
    assert energy.interval == pytest.approx((energy.joules - half_a_step, energy.joules + half_a_step))


def test_an_activity_shorter_than_the_interval_is_refused():
    found = meter(lambda: 100.0, interval=5.0)
    found.start()
    with pytest.raises(
        MeterError, match=r"2 readings of power in .* 3 are needed; let the activity last longer than 15 s"
    ):
        found.stop()


def test_a_meter_can_be_used_after_an_error():
    answers = [100.0, MeterError("gone")]

    def watts():
        answer = answers.pop(0) if answers else 100.0
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = meter(watts)
    found.start()
    time.sleep(0.1)
    with pytest.raises(MeterError, match="gone"):
        found.stop()
    with pytest.raises(MeterError, match=r"call start\(\) first"):
        found.stop()
    found.start()
    time.sleep(0.1)
    assert found.stop().joules > 0


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["on its feet", "suspended"])
def test_a_process_that_was_suspended_has_a_hole_in_its_readings(seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert process.stdout.readline() == "measures\n"
    time.sleep(0.3)
    if seconds:
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    said, _ = process.communicate("end\n", timeout=60)
    if seconds:
        assert said.startswith("MeterError no reading of power for"), said
    else:
        assert float(said) > 0, said
