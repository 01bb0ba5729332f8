"""comparison: contenders on identical rows, unit by unit."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import series

from wattline import comparison
from wattline.task import Series

KNOBS = {"resamples": 200, "seed": 1}
SCORES = {
    "n0": {"f1": 0.2, "delay": math.nan},
    "n1": {"f1": 0.4, "delay": 30.0},
    "n2": {"f1": 0.9, "delay": 50.0},
}


def rows(unit: str, group: str = "rack-0", *, length: int = 20, history: int = 5, seed: int = 0) -> Series:
    one = series(length, unit=unit, seed=seed)
    return Series(unit, group, one.timestamps, one.values, one.target, history)


TEST = {"n0": rows("n0", "rack-b"), "n1": rows("n1", "rack-a"), "n2": rows("n2", "rack-b", length=35)}


def test_each_unit_is_scored_on_its_judged_rows_alone():
    seen: list[tuple[str, int, int, float]] = []

    def score(truth: Series, outputs: Any, *, cadence_seconds: float) -> dict[str, float]:
        seen.append((truth.unit, len(truth.timestamps), len(outputs["score"]), cadence_seconds))
        return {"f1": 1.0}

    task: Any = SimpleNamespace(score=score)
    found = comparison.score_units(
        lambda one: {"score": np.zeros(len(one))}, {"n0": rows("n0")}, task, cadence_seconds=60
    )
    assert found == {"n0": {"f1": 1.0}}
    assert seen == [("n0", 15, 15, 60)]


def test_a_summary_is_the_mean_over_units_where_it_is_defined():
    found = comparison.summary(SCORES, **KNOBS)
    assert found["f1"].value == pytest.approx(0.5)
    assert (found["delay"].value, found["delay"].units) == (40, 2)


def test_without_a_champion_there_is_no_difference():
    assert comparison.versus({"candidate": SCORES, "persistence": SCORES}, **KNOBS) == {}


def test_a_champion_is_compared_unit_by_unit():
    worse = {unit: {name: value - 0.1 for name, value in scores.items()} for unit, scores in SCORES.items()}
    found = comparison.versus({"candidate": SCORES, "champion": worse}, **KNOBS)
    assert found["f1"].low == pytest.approx(0.1)
    assert found["f1"].high == pytest.approx(0.1)
    assert found["delay"].units == 2


def test_a_champion_of_other_units_is_refused():
    fewer = {"n0": SCORES["n0"]}
    with pytest.raises(ValueError, match="zip"):
        comparison.versus({"candidate": SCORES, "champion": fewer}, **KNOBS)


def test_slices_are_units_and_groups_with_the_mean_of_their_units():
    found = {(part.kind, part.name): part for part in comparison.slices(SCORES, TEST)}
    assert list(found) == [
        ("unit", "n0"),
        ("unit", "n1"),
        ("unit", "n2"),
        ("group", "rack-a"),
        ("group", "rack-b"),
    ]
    assert found["unit", "n2"].rows == 30
    assert found["group", "rack-b"].rows == 45
    assert found["group", "rack-b"].scores["f1"] == pytest.approx(0.55)
    assert found["group", "rack-b"].scores["delay"] == 50
    assert math.isnan(found["unit", "n0"].scores["delay"])


def test_a_group_without_a_defined_score_is_undefined():
    found = comparison.slices({"n0": SCORES["n0"]}, TEST)
    assert math.isnan(found[-1].scores["delay"])


class TestRowsDigest:
    def test_equal_rows_have_equal_digests(self):
        assert comparison.rows_digest({"n0": rows("n0")}) == comparison.rows_digest({"n0": rows("n0")})

    def test_history_is_not_judged_and_does_not_count(self):
        one = rows("n0")
        judged = one.judged()
        assert comparison.rows_digest({"n0": one}) == comparison.rows_digest({"n0": judged})

    @pytest.mark.parametrize("change", ["target", "timestamp", "unit", "one row less", "order"])
    def test_other_rows_have_another_digest(self, change):
        one, other = rows("n0"), rows("n1")
        target, timestamps = one.target.copy(), one.timestamps.copy()
        target[-1] = 1
        timestamps[-1] += np.timedelta64(1, "s")
        changed = {
            "target": {"n0": Series("n0", "g", one.timestamps, one.values, target, 5), "n1": other},
            "timestamp": {"n0": Series("n0", "g", timestamps, one.values, one.target, 5), "n1": other},
            "unit": {"n2": one, "n1": other},
            "one row less": {"n0": Series("n0", "g", one.timestamps, one.values, one.target, 6), "n1": other},
            "order": {"n1": other, "n0": one},
        }[change]
        assert comparison.rows_digest(changed) != comparison.rows_digest({"n0": one, "n1": other})
