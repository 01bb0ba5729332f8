"""The choice: what the rule says, and nothing else."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.bakeoff import choosing
from wattline.bakeoff.choosing import points
from wattline.bakeoff.record import Entrant
from wattline.errors import InputError
from wattline.params import RuleParams
from wattline.records import Energy, Metric, Performance, Score

HIGHER = Metric(name="vus_pr", unit="1", higher_is_better=True, description="")
LOWER = Metric(name="rmse_watts", unit="W", higher_is_better=False, description="")


def entrant(
    name: str = "a",
    score: float = 0.5,
    joules: float = 1.0,
    p99: float = 1.0,
    *,
    spread: float = 0.1,
    blur: float = 0.1,
    failure: str | None = None,
    sensor: str = "rapl:package-0",
    provenance: str = "measured",
    seconds: float = 1.0,
    units: int = 3,
) -> Entrant:
    """A model with a score +- spread and an energy +- blur (a share)."""
    energy = Energy(
        joules=joules,
        interval=(joules * (1 - blur), joules * (1 + blur)),
        provenance=provenance,
        sensor=sensor,
        boundary="machine",
        seconds=seconds,
    )
    return Entrant(
        name=name,
        options={},
        identity=name,
        digest=name,
        parameters=1,
        headline=Score(value=score, low=score - spread, high=score + spread, units=units),
        performance=Performance(
            digest=name,
            latency_p50_ms=p99 / 2,
            latency_p99_ms=p99,
            throughput_per_second=1,
            batch=1,
            energy_per_1000=energy,
        ),
        failure=failure,
    )


def choose(field, rule, *, headline, evidence="estimated"):
    return choosing.choose(field, rule, headline=headline, evidence=evidence)


def listed(field, rule, *, headline):
    return choosing.listed(field, choose(field, rule, headline=headline), rule, headline=headline)


def obstacle(one, rule, *, headline, evidence="estimated"):
    return choosing.obstacle(one, rule, headline=headline, evidence=evidence)


def accuracy(budget: float = 100.0, **more: float) -> RuleParams:
    return RuleParams(choose="accuracy", budget_joules=budget, **more)


def energy(floor: float = 0.0, **more: float) -> RuleParams:
    return RuleParams(choose="energy", floor=floor, **more)


# Few different values, so that ties are common.
numbers = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
costs = st.sampled_from([0.5, 1.0, 2.0, 4.0])
fields = st.lists(
    st.builds(
        entrant,
        name=st.sampled_from("abcdefgh"),
        score=numbers | st.just(math.nan),
        joules=costs | st.just(0.0),
        p99=costs,
        spread=st.sampled_from([0.0, 0.3]),
        failure=st.sampled_from([None, None, None, "it diverged"]),
    ),
    max_size=8,
    unique_by=lambda one: one.name,
)
latency = st.none() | costs
rules = st.builds(RuleParams, choose=st.just("accuracy"), budget_joules=costs, latency_p99_ms=latency) | st.builds(
    RuleParams, choose=st.just("energy"), floor=numbers, latency_p99_ms=latency
)
metrics = st.sampled_from([HIGHER, LOWER])


def dominates(one: Entrant, other: Entrant, metric: Metric) -> bool:
    """Written anew, as a witness."""
    sign = 1 if metric.higher_is_better else -1
    gain = sign * (one.headline.value - other.headline.value)
    saving = other.performance.energy_per_1000.joules - one.performance.energy_per_1000.joules
    return gain >= 0 and saving >= 0 and (gain > 0 or saving > 0)


class TestAnyField:
    @given(fields, rules, metrics, st.randoms(use_true_random=False))
    def test_the_order_in_which_models_are_named_does_not_matter(self, field, rule, metric, chance: random.Random):
        shuffled = list(field)
        chance.shuffle(shuffled)
        assert choose(shuffled, rule, headline=metric) == choose(field, rule, headline=metric)
        assert listed(shuffled, rule, headline=metric)[0:1] == listed(field, rule, headline=metric)[0:1]

    @given(fields, rules, metrics)
    def test_no_model_that_meets_the_rule_beats_the_chosen_one_in_score_and_energy(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        by_name = {one.name: one for one in field}
        for name in choice.ranked:
            assert not dominates(by_name[name], by_name[choice.name], metric)

    @given(fields, rules, metrics)
    def test_the_chosen_one_is_extreme_in_what_the_rule_asks_for(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        meeting = [one for one in field if one.name in choice.ranked]
        if choice.name is None:
            assert meeting == []
            return
        chosen = next(one for one in field if one.name == choice.name)
        if rule.choose == "energy":
            assert chosen.performance.energy_per_1000.joules == min(
                one.performance.energy_per_1000.joules for one in meeting
            )
        else:
            best = max if metric.higher_is_better else min
            assert chosen.headline.value == best(one.headline.value for one in meeting)

    @given(fields, rules, metrics)
    def test_each_is_either_ranked_or_has_an_obstacle(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        assert sorted([*choice.ranked, *choice.obstacles]) == sorted(one.name for one in field)
        assert all(choice.obstacles.values())

    @given(fields, rules, metrics)
    def test_who_fails_or_has_no_figures_never_wins(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        for one in field:
            if one.failure or math.isnan(one.headline.value) or not one.performance.energy_per_1000.joules:
                assert one.name in choice.obstacles
                assert one.name not in choice.front

    @given(fields, rules, metrics)
    def test_the_front_is_what_nobody_beats(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        sound = [one for one in field if one.name in {point.name for point in points(field)}]
        front = {one.name for one in sound if not any(dominates(other, one, metric) for other in sound)}
        assert set(choice.front) == front

    @given(fields, rules, metrics)
    def test_to_leave_out_who_was_not_chosen_changes_nothing(self, field, rule, metric):
        choice = choose(field, rule, headline=metric)
        for gone in field:
            if gone.name != choice.name:
                rest = [one for one in field if one is not gone]
                assert choose(rest, rule, headline=metric).name == choice.name

    @given(fields, rules, metrics)
    def test_the_list_begins_with_the_ranked_and_ends_with_the_failed(self, field, rule, metric):
        names = [one.name for one in listed(field, rule, headline=metric)]
        ranked = choose(field, rule, headline=metric).ranked
        assert tuple(names[: len(ranked)]) == ranked
        assert sorted(names) == sorted(one.name for one in field)

    @given(fields, st.data(), metrics)
    def test_a_wider_budget_never_makes_the_choice_less_accurate(self, field, data, metric):
        tight, wide = sorted(data.draw(st.tuples(costs, costs)))
        found = [choose(field, accuracy(budget), headline=metric).name for budget in (tight, wide)]
        if found[0] is not None:
            assert found[1] is not None
            first, second = (next(one for one in field if one.name == name).headline.value for name in found)
            assert second >= first if metric.higher_is_better else second <= first


class TestBounds:
    """A bound is met by the worse end of an interval."""

    @pytest.mark.parametrize(("budget", "met"), [(1.1, True), (1.0999, False), (1.0, False), (0.5, False)])
    def test_a_budget_by_the_upper_bound_of_energy(self, budget, met):
        found = obstacle(entrant(joules=1.0, blur=0.1), accuracy(budget), headline=HIGHER)
        assert (found is None) == met
        if not met:
            assert found == f"1.1 J > {budget:.4g} J per 1,000 predictions: upper bound of energy"

    @pytest.mark.parametrize(
        ("metric", "floor", "met"),
        [(HIGHER, 0.25, True), (HIGHER, 0.26, False), (LOWER, 0.75, True), (LOWER, 0.74, False)],
    )
    def test_a_floor_by_the_worse_bound_of_the_score(self, metric, floor, met):
        found = obstacle(entrant(score=0.5, spread=0.25), energy(floor), headline=metric)
        assert (found is None) == met
        if not met:
            assert found.startswith(metric.name)
            assert "worse bound of 0.5 [0.25, 0.75]" in found

    @pytest.mark.parametrize(("limit", "met"), [(2.0, True), (1.99, False)])
    def test_a_latency(self, limit, met):
        found = obstacle(entrant(p99=2.0), energy(0.0, latency_p99_ms=limit), headline=HIGHER)
        assert (found is None) == met
        if not met:
            assert found == "p99 latency 2 ms > 1.99 ms"


class TestTies:
    def test_equal_scores_go_to_less_energy(self):
        field = [entrant("a", joules=2.0), entrant("b", joules=1.0)]
        assert choose(field, accuracy(), headline=HIGHER).ranked == ("b", "a")

    def test_equal_energies_go_to_the_better_score(self):
        field = [entrant("a", score=0.5), entrant("b", score=0.6)]
        assert choose(field, energy(), headline=HIGHER).ranked == ("b", "a")
        assert choose(field, energy(1.0), headline=LOWER).ranked == ("a", "b")

    def test_then_latency_then_the_name(self):
        field = [entrant("c", p99=1.0), entrant("b", p99=1.0), entrant("a", p99=2.0)]
        for rule in (accuracy(), energy()):
            assert choose(field, rule, headline=HIGHER).ranked == ("b", "c", "a")


class TestUnsound:
    @pytest.mark.parametrize(
        ("broken", "why"),
        [
            (entrant(score=math.nan), "which is no figure to choose by"),
            (entrant(score=math.inf), "which is no figure to choose by"),
            (entrant(spread=math.inf), "which is no figure to choose by"),
            (entrant(spread=-0.1), "which is no figure to choose by"),
            (entrant(units=0), "its vus_pr is undefined"),
            (entrant().model_copy(update={"headline": None}), "its vus_pr is undefined"),
            (entrant(joules=0.0), "the meter did not count its energy"),
            (entrant(seconds=0.0), "the meter did not count its energy"),
            (entrant(blur=math.inf), "the meter did not count its energy"),
            (entrant(blur=-0.1), "the meter did not count its energy"),
            (entrant().model_copy(update={"performance": None}), "the meter did not count its energy"),
            (entrant(failure="it diverged"), "it diverged"),
        ],
    )
    @pytest.mark.parametrize("rule", [accuracy(1e9), energy(-1e9)])
    def test_figures_meet_no_rule_and_are_in_no_picture(self, broken, why, rule):
        found = choose([broken], rule, headline=HIGHER)
        assert found.name is None
        assert why in found.obstacles["a"]
        assert found.front == ()
        assert points([broken]) == ()
        assert found.reason.startswith("no model meets the rule: ")

    def test_an_estimate_meets_no_rule_where_a_measurement_is_demanded(self):
        estimated = entrant(provenance="estimated")
        assert choose([estimated], accuracy(), headline=HIGHER).name == "a"
        found = choose([estimated], accuracy(), headline=HIGHER, evidence="measured")
        assert found.name is None
        assert found.obstacles["a"] == "its energy is only estimated, and gates.energy.evidence demands a measurement"
        assert choose([entrant()], accuracy(), headline=HIGHER, evidence="measured").name == "a"

    def test_sensors_that_differ_cannot_be_compared(self):
        field = [entrant("a"), entrant("b", sensor="CPU time x 12.5 W/core")]
        with pytest.raises(InputError, match=r"measured by CPU time .* and measured by rapl:package-0: they cannot"):
            choose(field, accuracy(), headline=HIGHER)

    def test_a_name_that_is_there_twice_is_refused(self):
        with pytest.raises(InputError, match="a model is there twice among a, a"):
            choose([entrant("a"), entrant("a")], accuracy(), headline=HIGHER)

    def test_nobody_is_no_choice(self):
        assert choose([], accuracy(), headline=HIGHER).name is None
