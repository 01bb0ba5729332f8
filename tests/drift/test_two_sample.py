"""What did not change is called so at the promised risk, and what did change is found."""

import numpy as np
import pytest
from scipy.signal import lfilter

from wattline.drift.columns import drift
from wattline.drift.records import Drift
from wattline.drift.rows import Rows, of_units
from wattline.drift.stuck import stuck
from wattline.drift.two_sample import compare
from wattline.monitoring.drift import signal
from wattline.params.monitoring import DriftParams
from wattline.task import FloatArray

NAMES = ("power", "temperature", "flag")
PARAMS = DriftParams(risk=0.05, splits=100, minimum_rows=50, minimum_scores=50, maximum_share=0.1)


def process(rows: int, generator: np.random.Generator) -> FloatArray:
    """Rows that are much like the one before, and a flag that is rarely set."""
    noise = generator.normal(size=(rows + 200, len(NAMES))) * np.sqrt(1 - 0.9**2)
    values = lfilter([1], [1, -0.9], noise, axis=0)[200:].astype(np.float32)
    values[:, 2] = values[:, 2] > 2.2
    return values


def sample(rows: int, seed: int, units: int = 3) -> Rows:
    generator = np.random.default_rng(seed)
    return of_units(NAMES, {f"unit-{number}": process(rows, generator) for number in range(units)})


def judged(reference: Rows, served: Rows, **changes: float) -> Drift:
    params = PARAMS.model_copy(update=changes)
    return drift(reference, served, params, units=dict.fromkeys(NAMES, "1"), minimum=params.minimum_rows, seed=7)


def test_random_halves_of_the_same_rows_raise_an_alarm_at_most_as_often_as_the_risk_says():
    whole, generator, alarms = sample(1200, seed=1), np.random.default_rng(2), 0
    for _ in range(200):
        masks = {unit: generator.permutation(len(rows)) % 2 == 0 for unit, rows in whole.values.items()}
        first, second = (
            of_units(NAMES, {unit: rows[masks[unit] == half] for unit, rows in whole.values.items()})
            for half in (True, False)
        )
        alarms += bool(judged(first, second).drifted)
    assert alarms <= 10


def test_stretches_of_time_of_the_same_process_raise_hardly_more_although_rows_depend_on_each_other():
    alarms = sum(bool(judged(sample(2000, seed), sample(100, seed + 1000)).drifted) for seed in range(100))
    assert alarms <= 14, "5 are expected; 15 or more are seen once in 7,000 times"


def test_a_table_for_independent_rows_would_have_raised_far_more():
    limit = 1.36 * np.sqrt(1 / 300 + 1 / 6000)
    found = [compare(sample(2000, seed), sample(100, seed + 1000), splits=20, risk=0.05, seed=7) for seed in range(30)]
    assert sum(one.distances[0] > limit for one in found) > 10


def changed(served: Rows, column: str, new: object) -> Rows:
    place, values = NAMES.index(column), {unit: rows.copy() for unit, rows in served.values.items()}
    for rows in values.values():
        rows[:, place] = new(rows[:, place]) if callable(new) else new
    return of_units(NAMES, values)


@pytest.mark.parametrize(
    ("column", "new"),
    [
        ("power", lambda old: old + 1.5),
        ("temperature", lambda old: old * 3),
        ("temperature", 0.0),
        ("power", np.nan),
        ("flag", lambda old: 1 - old),
    ],
    ids=["shift", "scale", "stuck", "missing", "another flag"],
)
def test_a_change_of_one_column_is_found_there_and_nowhere_else(column: str, new: object):
    found = judged(sample(3000, seed=3), changed(sample(400, seed=5), column, new))
    assert found.drifted == (column,)
    assert signal("inputs", found, PARAMS, minimum=50, what="rows").outcome == "alarm"


def test_a_sensor_that_got_stuck_in_one_unit_is_found_by_name():
    served = sample(400, seed=5)
    served.values["unit-1"][100:, 0] = served.values["unit-1"][100, 0]
    found = judged(sample(3000, seed=3), served)
    assert {one.name: one.stuck for one in found.columns if one.stuck} == {"power": ("unit-1",)}
    assert "stuck in unit-1" in signal("inputs", found, PARAMS, minimum=50, what="rows").reason


def test_a_flag_that_is_rarely_set_is_not_stuck():
    reference = sample(3000, seed=3)
    assert not any(stuck(reference, sample(200, seed), risk=0.05) for seed in range(20))


def test_it_makes_no_difference_who_asked_more_often():
    reference, values = sample(3000, seed=3), dict(sample(400, seed=5).values)
    for unit, level in (("unit-0", 0.0), ("unit-1", 20.0)):
        reference.values[unit][:, 0] += level
        values[unit][:, 0] += level
    few = of_units(NAMES, {"unit-0": values["unit-0"], "unit-1": values["unit-1"][:60]})
    assert judged(reference, few).drifted == ()


def test_equal_rows_and_seeds_give_equal_answers():
    first, second = (judged(sample(1000, seed=3), sample(100, seed=4)) for _ in range(2))
    assert first.to_json() == second.to_json()


def test_too_few_rows_are_no_answer_and_never_a_quiet_one():
    for reference, served in ((sample(1000, seed=1), sample(10, seed=2)), (sample(10, seed=1), sample(1000, seed=2))):
        found = signal("inputs", judged(reference, served), PARAMS, minimum=50, what="rows")
        assert (found.outcome, found.lacking) == ("unknown", "too few samples")
        assert "50 of both are needed" in found.reason


def test_units_that_were_not_trained_on_are_counted_and_compared_with_nothing():
    served = of_units(NAMES, {"new": process(500, np.random.default_rng(1))})
    found = judged(sample(1000, seed=1), served)
    assert (found.rows, found.unknown_rows, found.columns) == (0, 500, ())
    assert signal("inputs", found, PARAMS, minimum=50, what="rows").outcome == "unknown"


def test_a_column_that_never_changed_may_not_change():
    reference, served = changed(sample(1000, seed=3), "flag", 0.0), changed(sample(200, seed=4), "flag", 0.0)
    assert judged(reference, served).drifted == ()
    assert judged(reference, changed(served, "flag", 1.0)).drifted == ("flag",)
