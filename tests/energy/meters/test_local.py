"""Meters count what was used, know when they cannot, and never call an estimate a measurement."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from wattline.energy.meters import Estimate, MeterError, Rapl, choose, estimate, rapl
from wattline.energy.meters.rapl import Counter
from wattline.params import EnergyParams

RANGE = 1_000_000
WATTS = {"watts_per_core": 12.5, "watts_source": "data sheet"}
PARAMS = EnergyParams(**WATTS, idle_share=0.0, idle_source="none")


def domain(root: Path, identity: str, name: str, microjoules: int = 0) -> Path:
    """One folder of a powercap tree."""
    folder = root / identity
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    count(folder, microjoules)
    return folder


def count(folder: Path, microjoules: int) -> None:
    (folder / "energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def package(tmp_path):
    return domain(tmp_path, "intel-rapl:0", "package-0", 500)


def test_rapl_counts_joules_from_start_to_stop(package, tmp_path):
    meter = Rapl(tmp_path)
    count(package, 100_000)
    meter.start()
    count(package, 350_000)
    energy = meter.stop()
    assert energy.joules == 0.25
    assert energy.provenance == "measured"
    assert energy.sensor == "rapl:package-0"
    assert energy.boundary == "CPU packages of this machine: every process on it, idle power included"


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: its last element is what meters see."""
    instants = [0.0]
    for module in (estimate, rapl):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: instants[-1]))
    return instants


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [
        (0.5, (0.249, 0.251)),  # two refreshes of 1 ms in 500 ms
        (0.002, (0.0, 0.5)),
        (0.001, (0.0, 0.5)),  # not below zero
        (0.0, (0.0, 0.5)),
    ],
)
def test_the_interval_of_a_reading_allows_for_a_stale_counter_at_both_ends(package, tmp_path, clock, seconds, interval):
    clock.append(100.0)
    meter = Rapl(tmp_path)
    meter.start()
    count(package, 250_500)
    clock.append(100.0 + seconds)
    energy = meter.stop()
    assert energy.seconds == pytest.approx(seconds, abs=1e-9)
    assert energy.joules == 0.25
    assert energy.interval == pytest.approx(interval, abs=1e-9)


def test_a_counter_that_wrapped_loses_nothing(package, tmp_path):
    meter = Rapl(tmp_path)
    count(package, RANGE - 100_000)
    meter.start()
    count(package, 50_000)
    assert meter.stop().joules == 0.15


def test_a_counter_that_wrapped_twice_loses_nothing_while_it_is_sampled(package, tmp_path, monkeypatch):
    sampled = threading.Semaphore(0)
    advance = Counter.advance

    def observed(counter):
        joules = advance(counter)
        sampled.release()
        return joules

    def wait_for_a_sample():
        while sampled.acquire(blocking=False):
            pass
        for _ in range(2):  # the first may have read before the file changed
            assert sampled.acquire(timeout=60)

    monkeypatch.setattr(Counter, "advance", observed)
    meter = Rapl(tmp_path, sample_seconds=0.001)
    for microjoules in (900_000, 100_000, 950_000):
        replacement = tmp_path / "next"
        replacement.write_text(f"{microjoules}\n")
        replacement.replace(package / "energy_uj")
        if microjoules == 900_000:
            meter.start()
        wait_for_a_sample()
    assert meter.stop().joules == 1.05


def test_a_stopped_meter_leaves_no_thread(package, tmp_path):
    meter = Rapl(tmp_path)
    meter.start()
    meter.start()
    meter.stop()
    assert "rapl-sampler" not in {thread.name for thread in threading.enumerate()}


def test_a_second_start_begins_anew(package, tmp_path):
    meter = Rapl(tmp_path)
    meter.start()
    count(package, 300_000)
    meter.start()
    count(package, 400_000)
    assert meter.stop().joules == 0.1


def test_packages_and_dram_are_added_and_nothing_is_counted_twice(tmp_path):
    folders = [
        domain(tmp_path, identity, name)
        for identity, name in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:0:2", "uncore"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:1:0", "dram"),
            ("intel-rapl:2", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        )
    ]
    meter = Rapl(tmp_path)
    meter.start()
    for place, folder in enumerate(folders):
        count(folder, 10**place)
    energy = meter.stop()
    assert energy.joules == pytest.approx((1 + 100 + 10_000 + 100_000) / 1e6)
    assert energy.sensor == "rapl:package-0+dram+package-1+dram"
    assert energy.boundary.startswith("CPU packages and DRAM of this machine")


def test_a_counter_that_stands_still_reads_zero_joules(package, tmp_path):
    """The energy gate refuses 0 J; a meter does not make up another figure."""
    meter = Rapl(tmp_path)
    meter.start()
    assert meter.stop().joules == 0


def test_a_machine_without_counters_is_said_to_have_none(tmp_path):
    with pytest.raises(MeterError, match="holds no intel-rapl package"):
        Rapl(tmp_path / "absent")


@pytest.fixture
def denied(monkeypatch):
    """Only root may read energy_uj, as on most systems. Tests may run as root, so permissions are not enough."""
    read_text = Path.read_text

    def refuse(path, *args, **kwargs):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)


def test_a_counter_that_may_not_be_read_names_the_remedy(package, tmp_path, denied):
    with pytest.raises(MeterError, match=r"energy_uj may not be read; let an administrator run `chmod a\+r"):
        Rapl(tmp_path)


def test_a_counter_that_vanishes_is_an_error_and_no_reading(package, tmp_path):
    meter = Rapl(tmp_path)
    meter.start()
    shutil.rmtree(package)
    with pytest.raises(MeterError, match="energy_uj cannot be read"):
        meter.stop()


def test_a_counter_that_vanishes_while_it_is_sampled_is_an_error_at_the_end(package, tmp_path):
    meter = Rapl(tmp_path, sample_seconds=0.001)
    meter.start()
    shutil.rmtree(package)
    for thread in threading.enumerate():
        if thread.name == "rapl-sampler":
            thread.join(timeout=60)
    with pytest.raises(MeterError, match="energy_uj cannot be read"):
        meter.stop()


@pytest.mark.parametrize("text", ["", "many", "-5", "1.5"])
def test_a_counter_that_is_no_count_is_an_error(package, tmp_path, text):
    (package / "energy_uj").write_text(text)
    with pytest.raises(MeterError, match="a count of microjoules is expected"):
        Rapl(tmp_path)


def test_a_counter_without_a_range_cannot_wrap_and_is_an_error(package, tmp_path):
    (package / "max_energy_range_uj").unlink()
    with pytest.raises(MeterError, match="max_energy_range_uj cannot be read"):
        Rapl(tmp_path)


def test_a_meter_that_was_not_started_cannot_be_stopped(package, tmp_path):
    with pytest.raises(MeterError, match="call start"):
        Rapl(tmp_path).stop()


def test_an_estimate_is_cpu_time_times_watts_and_says_so(monkeypatch, clock):
    readings = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr(estimate, "_cpu_seconds", lambda: next(readings))
    meter = Estimate(**WATTS)
    clock.append(100.0)
    meter.start()
    clock.append(103.0)
    energy = meter.stop()
    assert energy.joules == 25.0
    assert energy.seconds == 3.0
    assert energy.interval == (17.5, 32.5)
    assert energy.provenance == "estimated"
    assert energy.sensor == "CPU time x 12.5 W/core (data sheet)"
    assert energy.boundary.startswith("CPU cores of this process tree")


def test_an_estimate_counts_this_process():
    meter = Estimate(**WATTS)
    meter.start()
    end = estimate._cpu_seconds() + 0.02
    while estimate._cpu_seconds() < end:
        pass
    assert meter.stop().joules >= 0.02 * 12.5 * 0.99


def test_an_estimate_counts_children_that_were_waited_for():
    meter = Estimate(watts_per_core=1.0, watts_source="unit")
    meter.start()
    here = estimate.resource.getrusage(estimate.resource.RUSAGE_SELF)
    work = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    now = estimate.resource.getrusage(estimate.resource.RUSAGE_SELF)
    own = now.ru_utime + now.ru_stime - here.ru_utime - here.ru_stime
    assert meter.stop().joules - own > 0.1


def test_a_counter_is_preferred_to_an_estimate(package, tmp_path):
    assert isinstance(choose(PARAMS, powercap=tmp_path), Rapl)


def test_without_a_counter_the_estimate_says_what_is_missing(tmp_path, caplog):
    assert isinstance(choose(PARAMS, powercap=tmp_path), Estimate)
    assert "holds no intel-rapl package" in caplog.text
    assert "energy is estimated from CPU time" in caplog.text


def test_without_permission_the_estimate_says_how_to_get_it(package, tmp_path, denied, caplog):
    assert isinstance(choose(PARAMS, powercap=tmp_path), Estimate)
    assert "chmod a+r" in caplog.text
