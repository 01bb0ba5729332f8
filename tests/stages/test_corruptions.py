"""What goes wrong between a sensor and a table is caught by the rule that is there for it, and names the unit."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from wattline.errors import InputError
from wattline.records import Column

from .telemetry import VICTIM, Fleet, broken, fleet, report, run, store

BETWEEN = "expect_column_values_to_be_between"
POWER, LOAD, INLET = "total_power_watts", "load_one", "ambient_degc"
TICK = np.timedelta64(1, "s")


@pytest.fixture(scope="module")
def sound() -> Fleet:
    return fleet()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def kilowatts(sound: Fleet) -> Fleet:
    return sound.with_values(POWER, sound.values(POWER) / 1000)


def kilowatts_for_hours(sound: Fleet) -> Fleet:
    rows = slice(300, 500)
    return sound.with_values("p0_power_watts", sound.values("p0_power_watts")[rows] / 1000, rows=rows)


def milliwatts(sound: Fleet) -> Fleet:
    return sound.with_values("p1_power_watts", sound.values("p1_power_watts") * 1000)


def fahrenheit(sound: Fleet) -> Fleet:
    return sound.with_values(INLET, sound.values(INLET) * 1.8 + 32)


def kelvin(sound: Fleet) -> Fleet:
    return sound.with_values("p0_core_degc", sound.values("p0_core_degc") + 273.15)


def all_in_kilowatts(sound: Fleet) -> Fleet:
    place = sound.place(POWER)
    scale = np.ones(len(sound.columns), dtype=np.float32)
    scale[place] = 0.001
    return replace(sound, units=tuple(replace(unit, values=unit.values * scale) for unit in sound.units))


def stuck(sound: Fleet) -> Fleet:
    return sound.with_values(POWER, np.float32(640), rows=slice(200, 700))


def dropout(sound: Fleet) -> Fleet:
    return sound.with_values(POWER, np.float32(0), rows=slice(400, 402))


def gap(sound: Fleet) -> Fleet:
    return sound.kept(np.r_[0:500, 700 : len(sound.units[VICTIM])])


def mostly_missing(sound: Fleet) -> Fleet:
    return sound.kept(np.arange(len(sound.units[VICTIM])) % 3 != 0)


def half_a_minute_off(sound: Fleet) -> Fleet:
    return sound.at(sound.units[VICTIM].timestamps + 25 * TICK)


def local_time(sound: Fleet) -> Fleet:
    return sound.at(sound.units[VICTIM].timestamps + 7200 * TICK)


def someone_elses(sound: Fleet) -> Fleet:
    return sound.with_unit(replace(sound.units[0], unit=sound.units[VICTIM].unit))


def sent_again(sound: Fleet) -> Fleet:
    victim = sound.units[VICTIM]
    values = victim.values.copy()
    values[500:560] = values[499]
    return sound.with_unit(replace(victim, values=values))


def power_of_another_time(sound: Fleet) -> Fleet:
    return sound.with_values("p0_power_watts", sound.values("p0_power_watts")[::-1])


def whole_below_parts(sound: Fleet) -> Fleet:
    parts = sound.values("p0_power_watts") + sound.values("p1_power_watts")
    return sound.with_values(POWER, parts[600:640] / 2, rows=slice(600, 640))


def counter_reset(sound: Fleet) -> Fleet:
    counted = counting(sound)
    joules = counted.values("energy_joules_total")
    joules[700:] -= joules[700]
    return counted.with_values("energy_joules_total", joules)


def counting(sound: Fleet) -> Fleet:
    """With a counter, which runs on everywhere."""
    place = sound.place(POWER)
    units = [
        replace(unit, values=np.column_stack([unit.values, np.arange(len(unit)) * 60 * unit.values[0, place]]))
        for unit in sound.units
    ]
    units = [replace(unit, values=unit.values.astype(np.float32)) for unit in units]
    return replace(sound, columns=(*sound.columns, Column(name="energy_joules_total", unit="J")), units=tuple(units))


def to_come(sound: Fleet) -> Fleet:
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[-1] = np.datetime64(datetime.now(UTC).replace(tzinfo=None)) + np.timedelta64(1, "D")
    return sound.at(timestamps)


def twice(sound: Fleet) -> Fleet:
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[50] = timestamps[49]
    return sound.at(timestamps)


def backwards(sound: Fleet) -> Fleet:
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[50] = timestamps[20] + TICK
    return sound.at(timestamps)


def without_an_instant(sound: Fleet) -> Fleet:
    timestamps = sound.units[VICTIM].timestamps.copy()
    timestamps[50] = np.datetime64("NaT")
    return sound.at(timestamps)


def infinite(sound: Fleet) -> Fleet:
    return sound.with_values("fan_rpm", np.float32(np.inf), rows=slice(9, 10))


def impossible(sound: Fleet) -> Fleet:
    return sound.with_values("dimm_degc", np.float32(255), rows=slice(9, 12))


def label(sound: Fleet) -> Fleet:
    target = sound.units[VICTIM].target.copy()
    target[-3] = 2
    return sound.with_unit(replace(sound.units[VICTIM], target=target))


def never_recorded(sound: Fleet) -> Fleet:
    values = [unit.values.copy() for unit in sound.units]
    for one in values:
        one[:, sound.place("dimm_degc")] = np.nan
    pairs = zip(sound.units, values, strict=True)
    return replace(sound, units=tuple(replace(unit, values=one) for unit, one in pairs))


Corruption = Callable[[Fleet], Fleet]
CAUGHT: dict[Corruption, tuple[str, str, str]] = {
    kilowatts: ("wattline_unit_of_measure", POWER, "critical"),
    kilowatts_for_hours: ("wattline_unit_of_measure", "p0_power_watts", "critical"),
    milliwatts: ("wattline_unit_of_measure", "p1_power_watts", "critical"),
    fahrenheit: ("wattline_unit_of_measure", INLET, "critical"),
    kelvin: ("wattline_unit_of_measure", "p0_core_degc", "critical"),
    all_in_kilowatts: ("expect_column_median_to_be_between", POWER, "critical"),
    stuck: ("wattline_stuck", POWER, "warning"),
    dropout: ("wattline_dropout", POWER, "warning"),
    gap: ("wattline_gap", "", "warning"),
    mostly_missing: (BETWEEN, "missing_share", "warning"),
    half_a_minute_off: ("wattline_phase", "", "warning"),
    local_time: ("wattline_lag", INLET, "warning"),
    someone_elses: ("wattline_copied_unit", "", "critical"),
    sent_again: ("wattline_repeated_rows", "", "warning"),
    power_of_another_time: ("wattline_explained", f"p0_power_watts, {LOAD}", "critical"),
    whole_below_parts: ("wattline_parts", f"{POWER}, p0_power_watts, p1_power_watts", "warning"),
    counter_reset: ("wattline_counter", "energy_joules_total", "warning"),
    to_come: ("wattline_future", "", "critical"),
    twice: (BETWEEN, "step_seconds", "critical"),
    backwards: (BETWEEN, "step_seconds", "critical"),
    without_an_instant: ("expect_column_values_to_not_be_null", "timestamp", "critical"),
    infinite: ("wattline_finite", "fan_rpm", "critical"),
    impossible: (BETWEEN, "dimm_degc", "critical"),
    label: ("expect_column_values_to_be_in_set", "target", "critical"),
    never_recorded: ("wattline_varies", "dimm_degc", "warning"),
}
"""What happened to rows -> rule, column and severity of what must be said about it."""
OF_ALL_UNITS = {all_in_kilowatts, never_recorded}


def test_sound_rows_have_no_finding(sound):
    store(sound)
    assert run().findings == ()


def test_a_counter_that_runs_on_is_no_finding(sound):
    store(counting(sound))
    assert run().findings == ()


@pytest.mark.parametrize("corruption", CAUGHT, ids=lambda one: one.__name__)
def test_each_corruption_is_caught_by_its_rule_and_blamed_on_its_unit(sound, corruption):
    store(corruption(sound))
    severity = CAUGHT[corruption][2]
    with contextlib.ExitStack() as stack:
        if severity == "critical":
            stack.enter_context(pytest.raises(InputError))
        run()
    found = report()
    assert CAUGHT[corruption] in broken(found)
    assert severity == "critical" or not found.failures("critical")
    blamed = {row.split(" @ ")[0] for finding in found.findings for row in finding.first_rows}
    assert corruption in OF_ALL_UNITS or blamed == {sound.units[VICTIM].unit}
