"""A meter that does not work fails its self-test, whatever is wrong with it; one that does, passes."""

import math
import os
import threading
import time
from contextlib import contextmanager
from itertools import cycle

import pytest

from energy.powercap import patient, ticking
from wattline.energy.meters import Combined, Estimate, MeterError, Rapl, cpu_time, loads, nvml
from wattline.energy.meters import self_test as procedure
from wattline.energy.meters.disguise import Reading, formula
from wattline.energy.meters.nvml import Nvml
from wattline.energy.meters.self_test import self_test
from wattline.records import Energy

STATED = {"watts_per_core": 12.5, "watts_source": "data sheet", "idle_share": 0.0, "idle_source": "none"}


def failed(tested):
    assert tested.passed is not any(not condition.holds for condition in tested.conditions)
    return {condition.name: condition.found for condition in tested.conditions if not condition.holds}


def test_an_estimate_passes():
    tested = self_test(Estimate(**STATED))
    assert tested.passed, tested
    assert tested.meter == "estimate"
    assert tested.seconds >= 2.0


@patient
def test_a_counter_that_works_passes(tmp_path):
    with ticking(tmp_path):
        tested = self_test(Rapl(tmp_path))
    assert tested.passed, tested
    assert "is no estimate in disguise" in {condition.name for condition in tested.conditions}


@pytest.mark.parametrize("fault", ["stuck", "negative", "backwards", "wraps wrongly", "garbage", "empty", "jumps"])
@pytest.mark.parametrize("after_seconds", [0.2, 1.2])
def test_a_counter_that_goes_wrong_fails_from_the_start_or_on_the_way(tmp_path, fault, after_seconds):
    with ticking(tmp_path, fault=fault, after_seconds=after_seconds):
        tested = self_test(Rapl(tmp_path))
    # One that begins between two readings is no error in the next one; what that reads is wrong all the same.
    assert "can be read" in failed(tested) or fault == "wraps wrongly"
    assert failed(tested)


@pytest.mark.parametrize("fault", ["stuck", "negative", "backwards", "wraps wrongly", "garbage", "empty", "jumps"])
def test_one_package_of_two_that_goes_wrong_fails(tmp_path, fault):
    domains = [("intel-rapl:1", "package-1")]
    with ticking(tmp_path), ticking(tmp_path, fault=fault, after_seconds=0.2, domains=domains):
        tested = self_test(Rapl(tmp_path))
    assert "can be read" in failed(tested) or fault == "wraps wrongly"
    assert failed(tested)


def test_a_counter_of_constant_power_fails(tmp_path):
    with ticking(tmp_path, fault="constant"):
        tested = self_test(Rapl(tmp_path))
    assert failed(tested)


def test_a_counter_that_vanishes_fails(tmp_path):
    with ticking(tmp_path) as (package,):
        meter = Rapl(tmp_path)
        (package / "name").unlink()
        (package / "max_energy_range_uj").rename(package / "away")
        (package / "energy_uj").unlink()
        package.rename(tmp_path / "gone")
        assert "cannot be read" in failed(self_test(meter))["can be read"]


class Pretender:
    """A meter that computes what it says it measured."""

    name = "power-monitor"
    minimum_seconds = 0.1

    def __init__(self, *, watts=0.0, watts_per_core=0.0, **changes):
        self.watts, self.watts_per_core, self.changes = watts, watts_per_core, changes

    def start(self):
        self.began, self.used = time.monotonic(), cpu_time.tree().seconds

    def stop(self):
        used, seconds = cpu_time.tree().seconds - self.used, time.monotonic() - self.began
        return self.energy(self.watts * seconds + self.watts_per_core * used, seconds)

    def energy(self, joules, seconds):
        fields = {
            "joules": joules,
            "interval": (joules * 0.9, joules * 1.1),
            "provenance": "measured",
            "sensor": "power",
            "boundary": "machine",
            "seconds": seconds,
            "scope": "machine",
        }
        return Energy(**fields | self.changes)


@pytest.mark.parametrize(
    ("watts", "watts_per_core", "computed"),
    [
        (0.0, 12.5, "CPU time x 12"),
        (50.0, 0.0, "time x 50 W"),
        (10.0, 12.5, "time x "),
        (60.0, 12.5, "time x "),
    ],
)
def test_an_estimate_that_is_called_measured_is_found_out(watts, watts_per_core, computed):
    found = failed(self_test(Pretender(watts=watts, watts_per_core=watts_per_core)))
    assert found["is no estimate in disguise"].startswith(f"every reading is {computed}")


class Relabelled(Estimate):
    """The estimate itself, with another label."""

    name = "rapl"

    def __init__(self, **changes):
        super().__init__(**STATED)
        self.changes = changes

    def stop(self):
        return super().stop().model_copy(update={"provenance": "measured", **self.changes})


def test_the_estimate_under_another_name_is_found_out():
    found = failed(self_test(Relabelled()))
    assert "its sensor is a model: cpu time, w/core" in found["is called what it is"]
    assert "is no estimate in disguise" in found
    assert "is no estimate in disguise" in failed(self_test(Relabelled(sensor="rapl:package-0", parameters={})))


def test_an_estimate_that_does_not_say_what_it_rests_on_fails():
    tested = self_test(Pretender(watts_per_core=12.5, provenance="estimated"))
    assert failed(tested) == {"is called what it is": "called estimated, and does not say from what"}


def test_a_meter_of_two_minds_fails():
    meter = Pretender(watts=20.0, watts_per_core=12.5, parameters={"watts": "12.5 W"})
    labels = cycle(["measured", "estimated"])
    stop = meter.stop
    meter.stop = lambda: stop().model_copy(update={"provenance": next(labels)})
    assert "some readings" in failed(self_test(meter))["is called what it is"]


@pytest.fixture
def short(monkeypatch):
    """Readings of 20 ms, for meters whose figures do not depend on time."""
    monkeypatch.setattr(procedure, "SHORTEST_SECONDS", 0.02)


class Scripted(Pretender):
    """A meter whose joules are made up by a function of the number of the reading."""

    def __init__(self, joules, **changes):
        super().__init__(**changes)
        self.joules, self.count = joules, 0

    def stop(self):
        self.count += 1
        return self.energy(self.joules(self.count), time.monotonic() - self.began)


@pytest.mark.parametrize(
    ("joules", "condition"),
    [
        (lambda count: 0.0, "counts"),
        (lambda count: 10.0, "counts"),
        (lambda count: 10.0 + count, "a known load moves it"),  # a drift
        (lambda count: 20.0 - count, "a known load moves it"),
        (lambda count: 10.0 + (count * 7919) % 5, "a known load moves it"),  # noise
        (lambda count: 20.0 if count < 4 else 10.0 + count / 10, "a known load moves it"),  # the wrong way round
        (lambda count: 0.0 if count == 2 else 10.0 + count, "counts"),  # one dropout
        (lambda count: -1.0, "can be read"),
        (lambda count: math.nan, "can be read"),
        (lambda count: math.inf, "reads figures"),
    ],
)
def test_a_sensor_that_makes_figures_up_fails(joules, condition, short):
    assert condition in failed(self_test(Scripted(joules)))


def test_a_reading_outside_of_its_own_interval_fails(short):
    meter = Pretender(watts=20.0, watts_per_core=12.5, interval=(1.0, 2.0))
    assert "with the interval 1 to 2 J" in failed(self_test(meter))["reads figures"]


@pytest.mark.parametrize("seconds", [0.0, 0.1, 10.0])
def test_a_meter_with_a_clock_of_its_own_fails(seconds, short):
    found = failed(self_test(Pretender(watts=20.0, watts_per_core=12.5, seconds=seconds)))
    assert "passed where" in found["can be read"]


def test_a_meter_that_cannot_start_fails_and_raises_nothing():
    class Broken(Pretender):
        def start(self):
            raise MeterError("no sensor today")

    assert failed(self_test(Broken())) == {"can be read": "no sensor today"}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(nvml, "STUCK_SECONDS", 0.3)


def test_a_gpu_that_counts_passes_under_a_load_of_its_own(gpus, quick):
    assert self_test(Nvml(), load=gpus.load).passed


@pytest.mark.parametrize("fault", [{"stuck": 1.0}, {"joules": 5.0}, {"joules": 1e9}, {"lost": 1.0}, {"watts": 1e4}])
def test_a_gpu_that_goes_wrong_fails(gpus, quick, fault):
    @contextmanager
    def load():
        strike = threading.Timer(0.2, lambda: gpus.set(**fault))
        strike.start()
        yield
        strike.join()

    meter = Nvml()
    assert "can be read" in failed(self_test(meter, load=load))


def test_a_gpu_that_does_not_notice_its_load_fails(gpus, quick):
    assert failed(self_test(Nvml(), load=lambda: gpus.load(70.0)))


def test_where_no_load_can_be_put_on_a_gpu_the_test_fails_and_says_so(gpus, quick, monkeypatch):
    monkeypatch.setattr(loads, "_PRODUCTS", loads._PRODUCTS.replace("import torch", "import absent_torch"))
    found = failed(self_test(Nvml()))
    assert found["can be read"] == (
        "no known load can be made here: ModuleNotFoundError: No module named 'absent_torch'"
    )


@patient
def test_the_parts_of_a_sum_are_tested_each(tmp_path, gpus, quick, monkeypatch):
    monkeypatch.setattr(loads, "products", loads.integers)  # which no GPU notices
    with ticking(tmp_path):
        tested = self_test(Combined([Rapl(tmp_path), Nvml()]))
    names = [condition.name for condition in tested.conditions]
    assert tested.meter == "rapl+nvml"
    assert "rapl: a known load moves it" in names
    assert "nvml: a known load moves it" in failed(tested)
    assert all(name.startswith("nvml: ") for name in failed(tested))


@pytest.mark.parametrize("load", [loads.integers, loads.copies])
def test_a_load_keeps_cores_busy_and_leaves_no_process(load):
    before = cpu_time.tree()
    with load():
        running = cpu_time.tree()
        time.sleep(0.5)
        busy = cpu_time.tree()
    assert busy.seconds - running.seconds > 0.05
    assert running.processes > before.processes
    assert not (cpu_time.tree().processes - before.processes)


def readings(function):
    """Eight readings of a quarter of a second, four of them under a load of one core."""
    made = []
    for place in range(8):
        loaded = place in (3, 4, 5, 6)
        seconds = 0.25 + 0.002 * place
        cpu = seconds * (0.95 + 0.005 * place) if loaded else 0.002
        made.append(Reading(function(place, seconds, cpu), seconds, cpu, 0.001, loaded))
    return made


def test_hardware_with_one_per_cent_of_noise_is_not_taken_for_an_estimate():
    wiggle = [1.01, 0.99, 1.0, 1.008, 0.991, 1.01, 0.99, 1.004]
    assert formula(readings(lambda place, seconds, cpu: (50 * seconds + 12 * cpu) * wiggle[place]), "machine") is None


def test_hardware_whose_power_depends_on_the_kind_of_work_is_not_taken_for_an_estimate():
    kinds = [12, 12, 12, 12, 14, 12, 14, 12]
    assert formula(readings(lambda place, seconds, cpu: 50 * seconds + kinds[place] * cpu), "machine") is None


def test_a_steady_gpu_is_not_taken_for_an_estimate():
    drawn = readings(lambda place, seconds, cpu: (700 if 3 <= place <= 6 else 70) * seconds)
    assert formula(drawn, "devices") is None


def test_a_load_that_nobody_ends_ends_itself():
    assert str(loads.LONGEST_SECONDS) in loads._INTEGERS
    assert loads._cores() == max(1, len(os.sched_getaffinity(0)) // 4)
