"""Every gate keeps every promise of its table, and its table asks for each outcome that it has."""

import importlib

import pytest

from wattline import gates

from .cases import Asked, Case
from .tables import (
    budget,
    champion,
    data,
    energy,
    evidence,
    integrity,
    judge,
    latency,
    quality,
    report,
    robustness,
    scores,
    slices,
)

TABLES: dict[str, tuple[Case, ...]] = {
    "wattline.gates": judge.CASES,
    "wattline.gates.budget": budget.CASES,
    "wattline.gates.champion": champion.CASES,
    "wattline.gates.data": data.CASES,
    "wattline.gates.energy": energy.CASES,
    "wattline.gates.evidence": evidence.CASES,
    "wattline.gates.integrity": integrity.CASES,
    "wattline.gates.latency": latency.CASES,
    "wattline.gates.quality": quality.CASES,
    "wattline.gates.report": report.CASES,
    "wattline.gates.robustness": robustness.CASES,
    "wattline.gates.scores": scores.CASES,
    "wattline.gates.slices": slices.CASES,
}


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}: {case.promise}") for name, cases in TABLES.items() for case in cases],
)
def test_it_keeps_its_promise(name, case):
    assert not case.broken_by(importlib.import_module(name))


@pytest.mark.parametrize("gate", gates.NAMES)
def test_every_gate_is_seen_to_pass_and_to_fail(gate):
    outcomes = {case.outcome for case in TABLES[f"wattline.gates.{gate}"] if isinstance(case, Asked)}
    assert outcomes >= {"PASS", "FAIL"}


def test_the_energy_gate_is_seen_to_refuse():
    assert "REFUSE" in {case.outcome for case in energy.CASES}


@pytest.mark.parametrize("gate", gates.NAMES)
def test_every_gate_fails_without_evidence(gate):
    """Each table asks what happens when there is nothing to judge by."""
    asked = [case for case in TABLES[f"wattline.gates.{gate}"] if isinstance(case, Asked) and case.arguments[0] is None]
    assert asked
    assert all(case.outcome == "FAIL" for case in asked)
