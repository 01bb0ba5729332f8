"""One part of the gate `energy`: is an energy within an absolute budget? Yes, no, or the figure cannot tell."""

import math

from wattline.params import EnergyLimits
from wattline.records import Energy, Verdict
from wattline.records.energy import JOULES_PER_KWH


def predictions(found: Energy, limits: EnergyLimits) -> Verdict:
    """The whole interval of 1,000 predictions within the budget (PASS), above it (FAIL), or it cannot tell (REFUSE)."""
    remedy = "raise measure.repeats or measure on a quieter machine"
    return _held(found, limits.budget_joules, limits, unit="J per 1,000 predictions", stage="measure", remedy=remedy)


def training(found: Energy | None, limits: EnergyLimits) -> Verdict:
    """The same for a whole training [kWh], lost attempts included. One that nobody measured fails."""
    budget, unit = limits.training_budget_kwh, "kWh per training"
    if found is None:
        reason = "reports/measure.json holds no energy of the training; run `dvc repro --force train measure`"
        return _verdict(math.nan, budget, unit, reason=reason)
    remedy = "train where a better meter is, or set another gates.energy.training_budget_kwh"
    return _held(_in_kwh(found), budget, limits, unit=unit, stage="train", remedy=remedy)


def _in_kwh(energy: Energy) -> Energy:
    """The same figures [kWh instead of J], for as long as it took."""
    low, high = energy.interval
    figures = {"joules": energy.joules / JOULES_PER_KWH, "interval": (low / JOULES_PER_KWH, high / JOULES_PER_KWH)}
    return energy.model_copy(update=figures)


def _held(found: Energy, budget: float, limits: EnergyLimits, *, unit: str, stage: str, remedy: str) -> Verdict:
    """Hold the bounds of `found` [the first word of `unit`] against `budget`.

    stage: which measures it anew
    """
    low, high = found.interval
    source, short = found.provenance, unit.partition(" ")[0]
    obstacle = _obstacle(found, limits, unit=unit, stage=stage)
    if obstacle:
        return _verdict(found.joules, budget, unit, reason=obstacle, refused=True, found=found)
    figures = f"{found.joules:.4g} {short} [{low:.4g}, {high:.4g}] {source} by {found.sensor}"
    if high <= budget:
        reason = f"{high:.4g} {short} <= {budget:.4g} {unit}: upper bound of {figures}"
        return _verdict(high, budget, unit, reason=reason, passed=True, found=found)
    if low > budget:
        reason = f"{low:.4g} {short} > {budget:.4g} {unit}: even the lower bound of {figures}"
        return _verdict(low, budget, unit, reason=reason, found=found)
    reason = f"the budget of {budget:.4g} {unit} lies within {figures}: too wide to tell; {remedy}"
    return _verdict(found.joules, budget, unit, reason=reason, refused=True, found=found)


def _obstacle(found: Energy, limits: EnergyLimits, *, unit: str, stage: str) -> str | None:
    """Why the figure cannot be judged at all, or None."""
    low, high = found.interval
    short = unit.partition(" ")[0]
    if limits.evidence == "measured" and found.provenance != "measured":
        return (
            f"{found.joules:.4g} {unit} are only estimated ({found.sensor}) and gates.energy.evidence "
            f"demands a measurement; run `dvc repro --force {stage}` on a machine with an energy counter"
        )
    counted = found.joules and found.seconds and math.isfinite(low) and math.isfinite(high)
    if not counted or not low <= found.joules <= high:
        return (
            f"{found.joules:.4g} {short} [{low:.4g}, {high:.4g}] in {found.seconds:.4g} s by {found.sensor}: "
            f"the meter did not count; check the sensor and run `dvc repro --force {stage}`"
        )
    return None


def _verdict(
    value: float,
    budget: float,
    unit: str,
    *,
    reason: str,
    passed: bool = False,
    refused: bool = False,
    found: Energy | None = None,
) -> Verdict:
    return Verdict(
        name="energy",
        passed=passed,
        refused=refused,
        value=value,
        limit=budget,
        unit=unit,
        reason=reason,
        evidence=("reports/measure.json",),
        provenance=found.provenance if found is not None else "computed",
    )
