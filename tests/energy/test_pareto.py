"""Energy at equal quality: who is on the front, what is better, and what must not be compared."""

import math
from itertools import permutations

import pytest
from gates.samples import DOWN, PROMOTED, UP, evaluation, joules, measurement, performance, power, score
from gates.tables import energy as cases

from wattline.energy import pareto
from wattline.records import Earlier, Pareto, Point

RIDGE = {"ridge": joules(0.5, 0.25, 0.75)}


def point(name: str, value: float, joules: float, **changes) -> Point:
    good = {"name": name, "kind": "version", "score": value, "joules_per_1000": joules, "provenance": "measured"}
    return Point.model_validate(good | {"interval": (joules * 0.9, joules * 1.1)} | changes)


GOOD, CHEAP, BOTH, WORSE = point("good", 3, 3), point("cheap", 1, 1), point("both", 2, 2), point("worse", 1.5, 2.5)


def names(points) -> list[str]:
    return [one.name for one in points]


@pytest.mark.parametrize("order", list(permutations([GOOD, CHEAP, BOTH, WORSE])))
def test_the_front_holds_who_is_beaten_by_nobody_whatever_the_order(order):
    assert names(pareto.front(order, UP)) == ["cheap", "both", "good"]


def test_where_less_is_better_the_front_is_another():
    """CHEAP has the least error, and takes the least."""
    assert names(pareto.front([GOOD, CHEAP, BOTH, WORSE], DOWN)) == ["cheap"]


def test_equal_points_do_not_beat_each_other():
    twin = point("twin", 3, 3)
    assert names(pareto.front([GOOD, twin], UP)) == ["good", "twin"]
    assert pareto.dominated_by(GOOD, [GOOD, twin], UP) == ()


@pytest.mark.parametrize(("value", "joules"), [(3, 2.9), (3.1, 3), (3.1, 2.9)])
def test_better_in_one_and_equal_in_the_other_is_better(value, joules):
    other = point("other", value, joules)
    assert names(pareto.dominated_by(GOOD, [GOOD, other], UP)) == ["other"]
    assert pareto.dominated_by(other, [GOOD, other], UP) == ()


@pytest.mark.parametrize(("value", "joules"), [(2.9, 2.9), (3.1, 3.1), (2.9, 3), (3, 3.1)])
def test_worse_in_one_beats_nobody(value, joules):
    assert pareto.dominated_by(GOOD, [point("other", value, joules)], UP) == ()


def test_at_equal_quality_the_least_energy_of_all_that_are_as_good_is_told():
    better = [point("b", 5, 2), point("c", 3, 1), point("d", 2.9, 0.1)]
    assert pareto.at_equal_quality(GOOD, better, UP).name == "c"
    assert pareto.at_equal_quality(GOOD, [point("dear", 9, 9)], UP) is GOOD


@pytest.mark.parametrize("spoilt", [{"comparable": False}, {"score": math.nan}, {"joules_per_1000": math.nan}])
def test_what_cannot_be_compared_beats_nobody_and_is_on_no_front(spoilt):
    stranger = point("stranger", 9, 0.1).model_copy(update=spoilt)
    assert names(pareto.front([GOOD, stranger], UP)) == ["good"]
    assert pareto.dominated_by(GOOD, [stranger], UP) == ()
    assert pareto.at_equal_quality(GOOD, [stranger], UP) is GOOD


def earlier(**changes) -> Earlier:
    """A version that was metered as `measurement` is."""
    return cases.earlier(**{"energy_per_1000": joules(1.0, 0.5, 1.5), **changes})


def found(**given) -> Pareto:
    made = pareto.pareto(given.pop("of", evaluation()), given.pop("measured", measurement()), **given)
    assert made is not None
    return made


def test_the_candidate_comes_first_and_alone_is_no_front():
    alone = found()
    assert [(one.name, one.kind, one.score, one.joules_per_1000) for one in alone.points] == [
        ("candidate", "candidate", 0.875, 2.0)
    ]
    assert "no other model" in pareto.sentence(alone)


def test_baselines_are_there_where_they_were_measured_and_are_called_python():
    beside = found(measured=measurement().model_copy(update={"baselines": RIDGE | {"unknown": joules(1, 1, 1)}}))
    assert names(beside.points) == ["candidate", "ridge (Python)"]
    assert beside.points[1].comparable
    assert pareto.sentence(beside) == "on the Pareto front of 2 models: none is as good for less energy"


@pytest.mark.parametrize(
    "changes", [{"sensor": "nvml"}, {"boundary": "one core"}, {"provenance": "estimated", "sensor": "CPU time"}]
)
def test_a_baseline_of_another_sensor_is_not_comparable(changes):
    other = {"ridge": joules(0.5, 0.25, 0.75, **changes)}
    beside = found(measured=measurement().model_copy(update={"baselines": other}))
    assert not beside.points[1].comparable


def test_the_champion_has_the_figures_of_today():
    old = earlier(version="3", digest=PROMOTED.digest, score=0.5)
    today = measurement().model_copy(update={"champion": performance(PROMOTED.digest or "", joules(3.0, 2.5, 3.5))})
    scores = {**evaluation().contenders, "champion": {"vus_pr": score(0.75)}}
    beside = found(of=evaluation(champion=PROMOTED, contenders=scores), measured=today, earlier=old)
    assert [(one.name, one.score, one.joules_per_1000) for one in beside.points[1:]] == [("version 3", 0.75, 3.0)]


def test_a_champion_that_was_measured_and_is_not_the_evaluated_one_is_left_out():
    today = measurement().model_copy(update={"champion": performance("f" * 64, joules(3.0, 2.5, 3.5))})
    assert names(found(of=evaluation(champion=PROMOTED), measured=today).points) == ["candidate"]


def test_the_candidate_itself_registered_before_is_no_rival():
    assert names(found(earlier=earlier(digest=evaluation().candidate)).points) == ["candidate"]


@pytest.mark.parametrize(
    "changes",
    [
        {"rows_sha256": "00" * 32},
        {"metric": "f1"},
        {"machine": "another"},
        {"batch": 1},
        {"origin": "site B: anomaly version 1"},
        {"energy_per_1000": joules(1.0, 0.5, 1.5, sensor="nvml")},
    ],
)
def test_an_earlier_version_of_other_conditions_is_told_and_not_compared(changes):
    beside = found(earlier=earlier(**changes))
    assert names(beside.points) == ["candidate", "version 2"]
    assert not beside.points[1].comparable
    assert "no other model" in pareto.sentence(beside)


def test_an_earlier_version_of_the_same_conditions_is_compared():
    assert found(earlier=earlier()).points[1].comparable


def test_what_is_better_is_told_with_both_figures():
    said = pareto.sentence(found(earlier=earlier()))
    assert "version 2 has vus_pr 0.9375 for 1 J, the candidate 0.875 for 2 J per 1,000 predictions" in said
    assert said.endswith("though their intervals overlap")  # [0.5, 1.5] and [1, 3]
    far = earlier(energy_per_1000=joules(0.5, 0.25, 0.75))
    assert "overlap" not in pareto.sentence(found(earlier=far))


def test_better_for_the_same_energy_is_told_too():
    assert "version 2 has vus_pr 0.9375 for 2 J" in pareto.sentence(
        found(earlier=earlier(energy_per_1000=joules(2.0, 1.0, 3.0)))
    )


def test_where_less_is_better_a_smaller_error_is_better():
    worse, better = earlier(metric="mae", score=9.0), earlier(metric="mae", score=7.0)
    assert "on the Pareto front of 2" in pareto.sentence(found(of=power(), earlier=worse))
    assert pareto.sentence(found(of=power(), earlier=worse)).startswith("on ")
    assert pareto.sentence(found(of=power(), earlier=better)).startswith("not on ")


def test_reports_about_two_candidates_make_no_point():
    assert pareto.pareto(evaluation(candidate="f" * 64), measurement(), Earlier()) is None


def test_an_undefined_score_makes_a_point_that_is_compared_with_nothing():
    unscored = evaluation(contenders={"candidate": {"vus_pr": score(math.nan, units=0)}})
    assert "no Pareto point" in pareto.sentence(found(of=unscored, earlier=earlier()))
