"""Gate: does a prediction cost no more energy than it may? Three answers: yes, no, and cannot tell."""

import math

from wattline.gates.evidence import fails_closed, present
from wattline.params import EnergyLimits
from wattline.records import Energy, Measurement, Verdict


@fails_closed
def energy(evidence: Measurement | None, limits: EnergyLimits) -> Verdict:
    """The whole interval is within the budget (PASS), above it (FAIL), or the evidence cannot tell (REFUSE)."""
    found = present(evidence, "measure").candidate.energy_per_1000
    low, high = found.interval
    budget = limits.budget_joules
    obstacle = _obstacle(found, limits)
    if obstacle:
        return _verdict(found, found.joules, budget, refused=True, reason=obstacle)
    figures = f"{found.joules:.4g} J [{low:.4g}, {high:.4g}] {found.provenance} by {found.sensor}"
    if high <= budget:
        reason = f"{high:.4g} J <= {budget:.4g} J per 1,000 predictions: upper bound of {figures}"
        return _verdict(found, high, budget, passed=True, reason=reason)
    if low > budget:
        reason = f"{low:.4g} J > {budget:.4g} J per 1,000 predictions: even the lower bound of {figures}"
        return _verdict(found, low, budget, reason=reason)
    reason = (
        f"the budget of {budget:.4g} J per 1,000 predictions lies within {figures}: "
        "too wide to tell; raise measure.repeats or measure on a quieter machine"
    )
    return _verdict(found, found.joules, budget, refused=True, reason=reason)


def _obstacle(found: Energy, limits: EnergyLimits) -> str | None:
    """Why the figure cannot be judged at all, or None."""
    low, high = found.interval
    if limits.evidence == "measured" and found.provenance != "measured":
        return (
            f"{found.joules:.4g} J per 1,000 predictions are only estimated ({found.sensor}) and gates.energy.evidence "
            "demands a measurement; measure on a machine with an energy counter"
        )
    counted = found.joules and found.seconds and math.isfinite(low) and math.isfinite(high)
    if not counted or not low <= found.joules <= high:
        return (
            f"{found.joules:.4g} J [{low:.4g}, {high:.4g}] in {found.seconds:.4g} s by {found.sensor}: "
            "the meter did not count; check the sensor and run `dvc repro --force measure`"
        )
    return None


def _verdict(
    found: Energy, value: float, budget: float, *, reason: str, passed: bool = False, refused: bool = False
) -> Verdict:
    return Verdict(
        name="energy",
        passed=passed,
        refused=refused,
        value=value,
        limit=budget,
        unit="J per 1,000 predictions",
        reason=reason,
        evidence=("reports/measure.json",),
        provenance=found.provenance,
    )
