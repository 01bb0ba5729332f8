"""What a container showed, held against its limits: pure functions from figures to verdicts. What is missing fails."""

import math
from collections.abc import Sequence
from functools import partial

from wattline import files
from wattline.deployment.record import Load
from wattline.deployment.smoke import Check
from wattline.params import AcceptanceLimits
from wattline.records import Energy, Verdict

REPORT = files.REPORTS / "ci" / "acceptance.json"
UNIT = "J per 1,000 predictions"
_verdict = partial(Verdict, evidence=(str(REPORT),))


def judged_smoke(checks: Sequence[Check]) -> Verdict:
    """Every check passed, and there was one."""
    wrong = [f"{one.name}: {one.problem}" for one in checks if not one.passed]
    return _verdict(
        name="smoke",
        passed=bool(checks) and not wrong,
        value=len(wrong),
        limit=0,
        unit="failed checks",
        reason="; ".join(wrong) or f"{len(checks)} checks: {', '.join(one.name for one in checks)}",
    )


def judged_load(load: Load, limits: AcceptanceLimits, *, problem: str) -> tuple[Verdict, Verdict, Verdict]:
    """Errors, latency and throughput. problem: the first of those that were seen"""
    rate = load.errors / load.requests
    errors = _verdict(
        name="errors",
        passed=rate <= limits.maximum_error_rate,
        value=rate,
        limit=limits.maximum_error_rate,
        reason=f"{load.errors} of {load.requests} requests without a right answer; the first: {problem or 'none'}",
        provenance="measured",
    )
    latency = _verdict(
        name="latency",
        passed=load.p99_ms <= limits.p99_ms,
        value=load.p99_ms,
        limit=limits.p99_ms,
        unit="ms",
        reason=f"p99 at {load.rate_per_second:g} requests/s, each since it was due; p50 {load.p50_ms:.3g} ms",
        provenance="measured",
    )
    throughput = _verdict(
        name="throughput",
        passed=load.throughput_per_second >= limits.throughput_per_second,
        value=load.throughput_per_second,
        limit=limits.throughput_per_second,
        unit="requests/s",
        reason=f"{load.connections} connections busy, the client on the same machine",
        provenance="measured",
    )
    return errors, latency, throughput


def judged_energy(found: Energy | None, limits: AcceptanceLimits, *, problem: str = "") -> Verdict:
    """The whole interval within the budget (PASS), above it (FAIL), or the figure cannot tell (REFUSE).

    found: energy of 1,000 predictions; None where there is no figure, because of `problem`
    """
    obstacle = _obstacle(found, limits, problem)
    if found is None or obstacle:
        return _energy(found, limits, obstacle, value=found.joules if found is not None else math.nan, refused=True)
    low, high = found.interval
    figures = f"{found.joules:.4g} J [{low:.4g}, {high:.4g}] {found.provenance} by {found.sensor}"
    if high <= limits.budget_joules:
        return _energy(found, limits, f"upper bound of {figures}", value=high, passed=True)
    if low > limits.budget_joules:
        return _energy(found, limits, f"even the lower bound of {figures}", value=low)
    reason = f"the budget lies within {figures}: too wide to tell; raise deployment.load.requests or repeats"
    return _energy(found, limits, reason, value=found.joules, refused=True)


def _obstacle(found: Energy | None, limits: AcceptanceLimits, problem: str) -> str:
    """Why the figure cannot be judged at all; "" where it can."""
    if found is None:
        return problem or "nothing was metered"
    low, high = found.interval
    if limits.evidence == "measured" and found.provenance != "measured":
        only = f"{found.joules:.4g} J are only estimated ({found.sensor})"
        return f"{only}, and deployment.limits.evidence demands a measurement; use a host with an energy counter"
    if not found.joules or not found.seconds or not math.isfinite(high) or not low <= found.joules <= high:
        return f"{found.joules:.4g} J [{low:.4g}, {high:.4g}] by {found.sensor}: the meter did not count"
    return ""


def _energy(
    found: Energy | None,
    limits: AcceptanceLimits,
    reason: str,
    *,
    value: float,
    passed: bool = False,
    refused: bool = False,
) -> Verdict:
    return _verdict(
        name="energy",
        passed=passed,
        refused=refused,
        value=value,
        limit=limits.budget_joules,
        unit=UNIT,
        reason=reason,
        provenance=found.provenance if found is not None else "computed",
    )
