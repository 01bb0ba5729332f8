"""One noisy look does not retrain, and what is not known is never taken for good."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from builders import energy as energy_of

from tests.monitoring.project import settings
from wattline.errors import InputError
from wattline.monitoring import energy, labels, rule
from wattline.monitoring.metrics import parse, read
from wattline.monitoring.records import Counters, Signal, State
from wattline.params import typed
from wattline.params.monitoring import DriftParams, LabelsParams, ProductionEnergyParams, RetrainingParams

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RULE = RetrainingParams(signals=("inputs", "scores"), looks=2, cool_down_hours=72)
COSTS = ProductionEnergyParams(metrics="", minimum_predictions=100, maximum_ratio=3)
SAID = LabelsParams(days=30, minimum_labels=10, minimum_precision=0.3)


def looked(before: State | None, *, digest: str = "a", **outcomes: str) -> tuple[bool, State]:
    """One look with these outcomes: whether it asks, and what it leaves."""
    signals = [Signal.model_validate({"name": name, "outcome": one, "reason": ""}) for name, one in outcomes.items()]
    state = rule.next_state(signals, before, digest=digest, since=NOW - timedelta(1), now=NOW, counters=None)
    return rule.decide(signals, state, RULE).retrain, state


def asked(*outcomes: str, name: str = "inputs") -> list[bool]:
    found, state = [], None
    for one in outcomes:
        asks, state = looked(state, **{name: one})
        found.append(asks)
    return found


def test_it_takes_looks_in_a_row():
    assert asked("alarm", "quiet", "alarm", "alarm", "alarm") == [False, False, False, True, True]


def test_a_look_with_too_little_to_go_on_neither_counts_nor_breaks_the_row():
    assert asked("alarm", "unknown", "alarm") == [False, False, True]
    assert asked("unknown", "unknown", "unknown") == [False, False, False]


def test_different_signals_are_no_row():
    _, state = looked(None, inputs="alarm", scores="quiet")
    assert not looked(state, inputs="quiet", scores="alarm")[0]


def test_a_signal_that_the_rule_does_not_name_is_only_reported():
    assert asked("alarm", "alarm", "alarm", name="labels") == [False] * 3


def test_another_champion_begins_anew():
    _, state = looked(None, inputs="alarm")
    assert not looked(state, digest="b", inputs="alarm")[0]
    assert looked(state, digest="a", inputs="alarm")[0]


def test_answers_that_were_too_few_are_looked_at_again_and_no_further_back_than_allowed():
    assert looked(None, scores="unknown")[1].since == NOW - timedelta(1)
    assert looked(None, scores="quiet")[1].since == NOW
    assert looked(None, scores="alarm")[1].since == NOW
    _, state = looked(None, scores="unknown")
    assert rule.begin(state, now=NOW, longest_hours=48) == NOW - timedelta(1)
    assert rule.begin(state, now=NOW + timedelta(9), longest_hours=48) == NOW + timedelta(7)
    assert rule.begin(None, now=NOW, longest_hours=48) == NOW - timedelta(2)


def test_nothing_unknown_is_called_no_alarm_without_saying_so():
    signals = [Signal(name="inputs", outcome="unknown", lacking="too few samples", reason="")]
    state = rule.next_state(signals, None, digest="a", since=NOW, now=NOW, counters=None)
    assert rule.decide(signals, state, RULE).reason == "no alarm, and no answer on inputs"


def answers(confirmed: int, dismissed: int, unlabelled: int = 0, missed: int = 0) -> Any:
    given = [1] * confirmed + [0] * dismissed + [None] * unlabelled + [1] * missed
    alarms = [True] * (confirmed + dismissed + unlabelled) + [False] * missed
    return pa.table({"alarm": pa.array(alarms, pa.bool_()), "label": pa.array(given, pa.int8())})


@pytest.mark.parametrize(
    ("given", "outcome", "lacking"),
    [
        (answers(0, 0, 5), "unknown", "no labels"),
        (answers(2, 3), "unknown", "too few samples"),
        (answers(9, 1), "quiet", None),
        (answers(2, 10), "quiet", None),  # chance explains it
        (answers(5, 95), "alarm", None),
        (answers(0, 0), "unknown", "no labels"),
    ],
)
def test_alarms_are_judged_by_what_people_said_of_them(given: Any, outcome: str, lacking: str | None):
    found = labels.signal(labels.precision(given), SAID)
    assert (found.outcome, found.lacking) == (outcome, lacking)


def test_the_interval_of_the_precision_is_wilsons():
    assert labels.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert labels.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert labels.precision(answers(1, 1, missed=3)).missed == 3


def counters(inference: float, predictions: float) -> Counters:
    return Counters(
        inference_joules=inference, server_joules=2 * inference, predictions=predictions, provenance="estimated"
    )


def test_energy_is_that_since_the_last_look_and_since_the_start_of_a_server_that_was_started_anew():
    assert energy.since(counters(30, 3000), counters(10, 1000)) == counters(20, 2000)
    assert energy.since(counters(5, 500), counters(10, 1000)) == counters(5, 500)
    assert energy.since(counters(5, 500), None) == counters(5, 500)


@pytest.mark.parametrize(
    ("joules", "own", "outcome"),
    [
        (10, energy_of(4), "quiet"),
        (13, energy_of(4), "alarm"),  # three times its own
        (21, None, "alarm"),  # the budget
        (13, energy_of(4).model_copy(update={"provenance": "measured"}), "quiet"),  # no comparison of unlike figures
    ],
)
def test_energy_is_held_against_the_budget_and_the_versions_own_figure(joules: float, own: Any, outcome: str):
    found = energy.signal(energy.production(counters(joules, 1000), budget=20, own=own), COSTS)
    assert (found.outcome, found.provenance, found.unit) == (outcome, "estimated", "J per 1,000 predictions")


def test_energy_that_nobody_measured_or_that_is_of_few_answers_is_no_answer():
    assert energy.signal(None, COSTS).lacking == "not measured"
    assert energy.signal(energy.production(counters(0, 0), budget=20, own=None), COSTS).lacking == "too few samples"


def test_figures_of_something_else_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="wattline_inference_energy_joules_total is not there"):
        parse("process_cpu_seconds_total 3\n")
    (tmp_path / "said").write_text("nothing")
    for place in (str(tmp_path / "said"), str(tmp_path / "absent"), "http://127.0.0.1:1/metrics", "http://[::1/"):
        with pytest.raises(InputError, match=r"monitoring\.energy\.metrics: "):
            read(place, settings({}))


def test_a_risk_that_the_splits_cannot_tell_is_refused():
    with pytest.raises(InputError, match="splits must be at least 1 / risk - 1, here 99"):
        typed(DriftParams, PARAMS_OF_ONE_PERCENT, where="params.yaml: monitoring.drift")


PARAMS_OF_ONE_PERCENT = {"risk": 0.01, "splits": 50, "minimum_rows": 50, "minimum_scores": 50, "maximum_share": 0.1}
