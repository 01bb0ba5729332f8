"""What a judgement owes to anybody: symmetry, no answer from a bad sensor, and no traceback from garbage."""

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.energy.paired import judge
from wattline.energy.paired.observations import log_ratios
from wattline.energy.paired.obstacles import obstacle
from wattline.records import Block, EnergyTest

from .observed import LIMITS, SESSION, Alter, every, idle, joules, reading, sensor, session

ORDERS = {"ABBA": "BAAB", "BAAB": "ABBA"}
NAMES = {"candidate": "baseline", "baseline": "candidate"}
SEEDS = st.integers(0, 10_000)
RATIOS = st.floats(0.5, 2.0)


def judged(test: EnergyTest):
    return judge(test, LIMITS, tolerance=0.125, maximum_blocks=32, session=SESSION)


def swapped(block: Block) -> Block:
    """The same readings, as if the contenders had each other's names."""
    if block.kind == "control":
        return block
    samples = tuple(found.model_copy(update={"contender": NAMES[found.contender]}) for found in block.samples)
    return block.model_copy(update={"order": ORDERS[block.order], "samples": samples})


@given(SEEDS, RATIOS)
def test_swapped_contenders_change_the_sign_of_the_log_ratio_and_nothing_else(seed, ratio):
    test = session(seed=seed, ratio=ratio)
    other = test.model_copy(update={"blocks": tuple(map(swapped, test.blocks))})
    assert log_ratios(other, "pair") == tuple(-found for found in log_ratios(test, "pair"))
    assert log_ratios(other, "control") == log_ratios(test, "control")
    before, after = judged(test), judged(other)
    assert math.isclose(before.ratio * after.ratio, 1, rel_tol=1e-12)
    assert math.isclose(before.interval[0] * after.interval[1], 1, rel_tol=1e-12)


@given(SEEDS, RATIOS, st.floats(1e-3, 1e3))
def test_a_meter_in_another_unit_changes_nothing(seed, ratio, factor):
    test = session(seed=seed, ratio=ratio)
    scaled = session(
        seed=seed,
        ratio=ratio,
        alter=lambda _, found: joules(found.joules * factor),
        idle_before=idle(32.0 * factor),
        idle_after=idle(32.0 * factor),
    )
    assert log_ratios(scaled, "pair") == pytest.approx(log_ratios(test, "pair"), abs=1e-9)
    assert judged(scaled).outcome == judged(test).outcome


@given(SEEDS, RATIOS, st.floats(-0.01, 0.01))
def test_a_steady_drift_of_the_machine_cancels_in_every_block(seed, ratio, drift):
    steady, drifting = session(seed=seed, ratio=ratio), session(seed=seed, ratio=ratio, drift=drift)
    assert log_ratios(drifting, "pair") == pytest.approx(log_ratios(steady, "pair"), abs=1e-9)
    assert log_ratios(drifting, "control") == pytest.approx(log_ratios(steady, "control"), abs=1e-9)


def stuck_after(number: int) -> Alter:
    return lambda place, _: joules(48.0) if place >= number else {}


SENSORS: dict[str, Alter] = {
    "stuck": every(**joules(48.0)),
    "stuck from its first third on": stuck_after(16),
    "stuck power": lambda number, found: {"seconds": 0.5 + number / 99, **joules(90 * (0.5 + number / 99))},
    "stuck at zero": every(**joules(0.0)),
    "zero once": reading(7, **joules(0.0)),
    "wrapped once": lambda number, found: joules(found.joules - 262_143.3) if number == 7 else {},
    "wrapped and corrected too much": lambda number, found: joules(found.joules + 4294.97) if number == 7 else {},
    "negative": lambda _, found: joules(-found.joules),
    "backwards": lambda number, found: joules(found.joules * (-1) ** number),
    "missing once": reading(7, **joules(math.nan)),
    "missing": every(**joules(math.nan)),
    "endless": reading(7, **joules(math.inf)),
    "garbage": lambda number, _: joules(10.0 ** (number * 7 % 9 - 3)),
    "computed from CPU time": lambda number, _: {
        "cpu_seconds": 0.4 + number / 999,
        **joules(90 * (0.4 + number / 999)),
    },
    "outside of its own bounds": reading(7, low=50.0, high=60.0),
    "in no time": reading(7, seconds=0.0),
    "at a clock that stepped": reading(7, seconds=3600.0),
    "at a clock that stepped back": reading(7, seconds=-3600.0),
}


@pytest.mark.parametrize("pairs", [6, 12, 24, 32])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", SENSORS)
def test_a_sensor_that_misbehaves_gets_no_answer(name, ratio, pairs):
    assert judged(session(pairs=pairs, ratio=ratio)).outcome != "REFUSE"
    found = judged(session(pairs=pairs, ratio=ratio, alter=SENSORS[name]))
    assert found.outcome == "REFUSE"
    assert not found.more
    assert found.reason


def counted(load: str):
    """Equal work on an H100, again and again, and idling before and after, as its energy counter read them.

    NVML's total energy of one H100 80GB at its limit of 700 W ("large": matrices of 8,192, about 1 s) and under it
    ("small": of 512, about 0.3 s); the counter moved every 100 ms.
    """
    with (Path(__file__).parent / "h100.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["load"] == load]
    return [{name: float(row[name]) for name in ("joules", "seconds", "cpu_seconds")} for row in rows]


@pytest.mark.parametrize("load", ["large", "small"])
def test_a_real_counter_is_not_taken_for_an_estimate_even_where_power_is_held_at_a_limit(load):
    readings = counted(load)
    before, after = (idle(found["joules"] / found["seconds"]) for found in counted(f"{load} idle"))
    test = session(
        pairs=8,
        controls=8,
        alter=lambda number, _: {**readings[number], **joules(readings[number]["joules"])},
        idle_before=before,
        idle_after=after,
        sensor=sensor(scope="devices", resolution_joules=0.001),
    )
    assert obstacle(test, LIMITS, session=SESSION) is None


ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT), min_size=1, max_size=8), ANY_FLOAT, ANY_FLOAT)
def test_garbage_is_refused_and_nothing_breaks(values, before, after):
    def alter(number, found):
        power, seconds, cpu_seconds, other_cores = values[number % len(values)]
        return {"seconds": seconds, "cpu_seconds": cpu_seconds, "other_cores": other_cores, **joules(power)}

    found = judged(
        session(
            alter=alter,
            idle_before=idle(1.0).model_copy(update={"watts": before}),
            idle_after=idle(1.0).model_copy(update={"watts": after}),
        )
    )
    assert found.outcome == "REFUSE"
    assert found.model_validate_json(found.to_json()).reason == found.reason


@given(SEEDS, st.floats(0.002, 0.05))
def test_a_candidate_of_twice_the_margin_never_passes(seed, spread):
    assert judged(session(seed=seed, spread=spread, ratio=1 + 2 * LIMITS.margin)).outcome != "PASS"


def test_a_judgement_says_the_same_about_a_record_that_was_written_and_read():
    test = session(ratio=1.05)
    again = EnergyTest.from_json(test.model_copy(update={"overhead": 0.01}).to_json())
    assert judged(again) == judged(test)
