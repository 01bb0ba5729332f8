"""RAPL counts what was used, and knows when it cannot."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from energy.powercap import RANGE_MICROJOULES, lay_out, ticking, write
from wattline.energy.meters import MeterError, Rapl

UNIT = RANGE_MICROJOULES / 2**32 / 1e6


@pytest.fixture
def package(tmp_path):
    return lay_out(tmp_path, start=500)[0]


def test_it_counts_joules_from_start_to_stop(package, tmp_path, clock):
    meter = Rapl(tmp_path)
    write(package, "100000\n")
    meter.start()
    write(package, "350000\n")
    clock.append(0.5)
    energy = meter.stop()
    assert energy.joules == pytest.approx(0.25)
    assert energy.provenance == "measured"
    assert energy.scope == "machine"
    assert energy.sensor == "rapl:package-0"
    assert energy.boundary == "CPU packages of this machine: every process on it, idle power included"
    assert not energy.parameters


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [
        (0.5, (0.249, 0.251)),  # two refreshes of 1 ms in 500 ms
        (0.002, (0.0, 0.5)),
        (0.001, (0.0, 0.5)),  # not below zero
        (0.0, (0.0, 0.5)),
    ],
)
def test_the_interval_allows_for_a_stale_counter_at_both_ends(package, tmp_path, clock, seconds, interval):
    clock.append(100.0)
    meter = Rapl(tmp_path)
    meter.start()
    write(package, "250500\n")
    clock.append(100.0 + seconds)
    energy = meter.stop()
    assert energy.seconds == pytest.approx(seconds, abs=1e-9)
    assert energy.joules == pytest.approx(0.25)
    assert energy.interval == pytest.approx(interval, abs=1e-9)


@pytest.mark.parametrize(("microjoules", "step"), [(100, UNIT), (50_000_000, 0.1)])
def test_the_smallest_step_is_the_registers_unit_or_what_is_drawn_in_a_refresh(
    package, tmp_path, clock, microjoules, step
):
    meter = Rapl(tmp_path)
    meter.start()
    write(package, f"{500 + microjoules}\n")
    clock.append(0.5)
    assert meter.stop().resolution_joules == pytest.approx(step)
    assert pytest.approx(61e-6, rel=0.01) == UNIT


def test_a_counter_that_wrapped_loses_nothing(package, tmp_path):
    meter = Rapl(tmp_path)
    write(package, f"{RANGE_MICROJOULES - 100_000}\n")
    meter.start()
    write(package, "50000\n")
    assert meter.stop().joules == pytest.approx(0.15)


def test_a_counter_that_wraps_again_and_again_loses_nothing(tmp_path):
    """400 J at 270 W: two wraps in two seconds, of which a single difference would see none."""
    with ticking(
        tmp_path,
        watts=270.0,
        watts_per_core=0.0,
        range_microjoules=400_000_000,
        start=399_000_000,
        maximum_watts=75.0,
    ):
        meter = Rapl(tmp_path)
        meter.start()
        time.sleep(2.0)
        energy = meter.stop()
    assert energy.joules == pytest.approx(270 * energy.seconds, rel=0.1)
    assert energy.joules > 401


def test_a_short_range_is_read_more_often(tmp_path):
    lay_out(tmp_path, range_microjoules=400_000_000, maximum_watts=None)
    assert Rapl(tmp_path)._sample_seconds == pytest.approx(400 / 2000 / 3)


def test_a_counter_that_is_watched_is_read_far_more_often_than_it_wraps(package, tmp_path):
    assert Rapl(tmp_path)._sample_seconds == 1.0


def test_a_counter_under_load_reads_more(tmp_path):
    with ticking(tmp_path, watts=20.0, watts_per_core=100.0):
        meter = Rapl(tmp_path)
        meter.start()
        time.sleep(0.3)
        idle = meter.stop()
        meter.start()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        busy = meter.stop()
    assert idle.joules == pytest.approx(20 * idle.seconds, rel=0.25)
    assert busy.joules - 20 * busy.seconds > 0.2 * 100


def test_a_stopped_meter_leaves_no_thread(package, tmp_path):
    meter = Rapl(tmp_path)
    meter.start()
    meter.start()
    meter.stop()
    assert "energy-meter" not in {thread.name for thread in threading.enumerate()}


def test_a_second_start_begins_anew(package, tmp_path):
    meter = Rapl(tmp_path)
    meter.start()
    write(package, "300000\n")
    meter.start()
    write(package, "400000\n")
    assert meter.stop().joules == pytest.approx(0.1)


def test_packages_and_dram_are_added_and_nothing_is_counted_twice(tmp_path):
    folders = lay_out(
        tmp_path,
        [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:0:2", "uncore"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:1:0", "dram"),
            ("intel-rapl:2", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        ],
        start=0,
    )
    meter = Rapl(tmp_path)
    meter.start()
    for place, folder in enumerate(folders):
        write(folder, f"{10**place}\n")
    energy = meter.stop()
    assert energy.joules == pytest.approx((1 + 100 + 10_000 + 100_000) / 1e6)
    assert energy.sensor == "rapl:package-0+dram+package-1+dram"
    assert energy.boundary.startswith("CPU packages and DRAM of this machine")


def test_a_counter_that_stands_still_is_an_error_once_it_must_have_moved(package, tmp_path, clock):
    meter = Rapl(tmp_path)
    meter.start()
    clock.append(0.19)
    assert meter.stop().joules == 0  # shorter than what the meter can tell: the energy gate refuses 0 J
    meter.start()
    clock.append(0.4)
    with pytest.raises(MeterError, match=r"package-0 stood still for 0.21 s"):
        meter.stop()


def test_one_package_of_two_that_stands_still_is_an_error(tmp_path, clock):
    first, _ = lay_out(tmp_path, [("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1")])
    meter = Rapl(tmp_path)
    meter.start()
    write(first, "2000000\n")
    clock.append(0.5)
    with pytest.raises(MeterError, match="package-1 stood still"):
        meter.stop()


@pytest.mark.parametrize(
    ("maximum_watts", "why"),
    [(165.0, "over 660 W cannot be (4 times the highest power limit"), (0.0, "over 2000 W cannot be (more than any")],
)
def test_more_than_a_package_can_draw_is_an_error(tmp_path, clock, maximum_watts, why):
    (package,) = lay_out(tmp_path, maximum_watts=maximum_watts, start=0)
    meter = Rapl(tmp_path)
    meter.start()
    write(package, "2100000000\n")
    clock.append(1.0)
    with pytest.raises(MeterError) as error:
        meter.stop()
    assert why in str(error.value)


def test_a_counter_that_stops_on_the_way_is_an_error(tmp_path):
    with ticking(tmp_path, fault="stuck", after_seconds=0.3):
        meter = Rapl(tmp_path, sample_seconds=0.05)
        meter.start()
        time.sleep(0.8)
        with pytest.raises(MeterError, match="stood still"):
            meter.stop()


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


def test_a_counter_that_vanishes_for_a_moment_is_an_error_at_the_end(package, tmp_path):
    meter = Rapl(tmp_path, sample_seconds=0.001)
    meter.start()
    (package / "energy_uj").rename(package / "away")
    for thread in threading.enumerate():
        if thread.name == "energy-meter":
            thread.join(timeout=60)
    (package / "away").rename(package / "energy_uj")
    with pytest.raises(MeterError, match="energy_uj cannot be read"):
        meter.stop()


@pytest.mark.parametrize("text", ["", "many", "-5", "1.5", "1" * 21, "\u0661\u0662", "1 2"])
def test_a_counter_that_is_no_count_is_an_error(package, tmp_path, text):
    (package / "energy_uj").write_text(text, encoding="utf-8")
    with pytest.raises(MeterError, match="a count of microjoules is expected"):
        Rapl(tmp_path)


def test_bytes_that_are_no_text_are_an_error(package, tmp_path):
    (package / "energy_uj").write_bytes(b"\xff\xfe")
    with pytest.raises(MeterError, match=r"energy_uj cannot be read \(no text\)"):
        Rapl(tmp_path)


def test_a_counter_without_a_range_cannot_wrap_and_is_an_error(package, tmp_path):
    (package / "max_energy_range_uj").unlink()
    with pytest.raises(MeterError, match="max_energy_range_uj cannot be read"):
        Rapl(tmp_path)


def test_a_range_of_nothing_is_an_error(package, tmp_path):
    (package / "max_energy_range_uj").write_text("0\n")
    with pytest.raises(MeterError, match="max_energy_range_uj is 0"):
        Rapl(tmp_path)


def test_a_meter_that_was_not_started_cannot_be_stopped(package, tmp_path):
    with pytest.raises(MeterError, match="call start"):
        Rapl(tmp_path).stop()


def test_what_is_inside_a_package_counts_once_whatever_it_is_called(tmp_path):
    folders = lay_out(tmp_path, [("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "package-0-core")])
    meter = Rapl(tmp_path)
    meter.start()
    for folder in folders:
        write(folder, "1250000\n")
    assert meter.stop().joules == pytest.approx(0.25)


def test_a_package_that_is_there_twice_is_refused(tmp_path):
    (folder,) = lay_out(tmp_path)
    (tmp_path / "intel-rapl:1").symlink_to(folder)
    with pytest.raises(MeterError, match=r"intel-rapl:1 are both package-0; its energy would be counted twice"):
        Rapl(tmp_path)


def test_a_counter_beyond_its_range_is_no_wrap(tmp_path):
    (folder,) = lay_out(tmp_path, range_microjoules=1_000_000_000, start=5_000_000_000)
    meter = Rapl(tmp_path)
    meter.start()
    write(folder, "4001000000\n")
    with pytest.raises(MeterError, match=r"is at 4001 J and is said to wrap at 1000 J"):
        meter.stop()
