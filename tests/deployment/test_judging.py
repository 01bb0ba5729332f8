"""Acceptance: each figure passes, fails, or cannot tell; what is missing never passes."""

import math
from pathlib import Path

import pytest
import yaml
from builders import energy

from tests.deployment.reports import load
from wattline.deployment.judging import judged_energy, judged_load, judged_smoke
from wattline.deployment.smoke import Check
from wattline.params import AcceptanceLimits, DeploymentParams
from wattline.records import Energy

LIMITS = AcceptanceLimits(
    p99_ms=5, maximum_error_rate=0.01, throughput_per_second=100, budget_joules=20, evidence="estimated"
)
NOTHING = energy(0)


@pytest.mark.parametrize("field", ["name", "port", "state", "data"])
def test_two_environments_share_nothing(field: str):
    tree = yaml.safe_load(Path("params.yaml").read_text())["deployment"]
    tree["staging"][field] = tree["production"][field]
    with pytest.raises(ValueError, match=f"staging and production have the same {field}"):
        DeploymentParams.model_validate(tree)


def test_smoke_fails_with_one_check_and_without_any():
    passed, failed = Check("livez", ""), Check("known answers", "score 2")
    assert [judged_smoke(checks).outcome for checks in ([passed], [passed, failed], [])] == ["PASS", "FAIL", "FAIL"]
    assert "known answers: score 2" in judged_smoke([passed, failed]).reason


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({}, "PASS PASS PASS"),
        ({"errors": 10}, "PASS PASS PASS"),
        ({"errors": 11}, "FAIL PASS PASS"),
        ({"p99_ms": 5.1}, "PASS FAIL PASS"),
        ({"p99_ms": math.nan}, "PASS FAIL PASS"),
        ({"throughput_per_second": 99.0}, "PASS PASS FAIL"),
    ],
)
def test_errors_latency_and_throughput(changes: dict[str, float], outcomes: str):
    found = judged_load(load(**changes), LIMITS, problem="")
    assert " ".join(one.outcome for one in found) == outcomes


@pytest.mark.parametrize(
    ("found", "budget", "outcome"),
    [
        (energy(12), 13.3, "PASS"),
        (energy(12), 10.7, "FAIL"),
        (energy(12), 12.0, "REFUSE"),
        (None, 12.0, "REFUSE"),
        (NOTHING, 12.0, "REFUSE"),
        (energy(12).model_copy(update={"interval": (1.0, math.inf)}), 12.0, "REFUSE"),
    ],
)
def test_energy_by_the_worse_end_of_its_interval(found: Energy | None, budget: float, outcome: str):
    assert judged_energy(found, LIMITS.model_copy(update={"budget_joules": budget})).outcome == outcome


def test_an_estimate_is_refused_where_a_measurement_is_demanded():
    strict = LIMITS.model_copy(update={"evidence": "measured"})
    assert judged_energy(energy(), strict).outcome == "REFUSE"
    verdict = judged_energy(energy().model_copy(update={"provenance": "measured"}), strict)
    assert (verdict.outcome, verdict.provenance) == ("PASS", "measured")
