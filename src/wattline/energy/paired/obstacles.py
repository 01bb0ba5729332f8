"""Why a session allows no judgement: it broke off, or its conditions were not met."""

import math
from collections.abc import Iterator

from wattline.energy.paired.observations import PLACES_OF_A, idle_watts, net_joules, samples
from wattline.energy.paired.readings import unusable
from wattline.params import EnergyLimits, SessionParams
from wattline.records import Block, Contender, EnergyTest, Idle


def obstacle(test: EnergyTest, limits: EnergyLimits, *, session: SessionParams) -> str | None:
    """The first reason why nothing may be concluded, with the remedy; None where there is none."""
    return (
        _broke_off(test)
        or _only_an_estimate(test, limits)
        or _self_test(test)
        or _contenders(test)
        or _blocks(test, session)
        or _idle(test)
        or unusable(test)
        or _idle_drifted(test, session)
        or _other_load(test, session)
    )


def _broke_off(test: EnergyTest) -> str | None:
    return f"the session broke off: {test.problem}" if test.problem is not None else None


def _only_an_estimate(test: EnergyTest, limits: EnergyLimits) -> str | None:
    if limits.evidence == "measured" and test.sensor.provenance != "measured":
        return (
            f"{test.sensor.sensor} is only an estimate and gates.energy.evidence demands a measurement; "
            "run the test on a machine with an energy counter (`wattline energy doctor` lists what is here)"
        )
    return None


def _self_test(test: EnergyTest) -> str | None:
    if test.self_test.meter != test.sensor.meter:
        return (
            f"the self-test was of {test.self_test.meter!r}, the readings are of {test.sensor.meter!r}; "
            "test the meter that is read"
        )
    if not test.self_test.passed:
        failed = [f"{found.name}: {found.found}" for found in test.self_test.conditions if not found.holds]
        return (
            f"meter {test.sensor.meter!r} failed its self-test ({'; '.join(failed) or 'it has no condition'}); "
            "see `wattline energy doctor`"
        )
    return None


def _contenders(test: EnergyTest) -> str | None:
    names = sorted(contender.name for contender in test.contenders)
    if names not in (["candidate"], ["baseline", "candidate"]):
        found = " and ".join(names) or "missing"
        return f"the contenders are {found}, not a candidate and at most one baseline; run the test again"
    if test.requests.predictions < 1:
        return "a sample answers 0 windows; raise measure.windows"
    return next((reason for contender in test.contenders if (reason := _answers(contender))), None)


def _answers(contender: Contender) -> str | None:
    if not math.isfinite(contender.score):
        return f"the score of the {contender.name}'s answers is undefined ({contender.score}); use more measure.windows"
    if not contender.answers_sha256:
        return f"there is no digest of the {contender.name}'s answers; run the test again"
    return None


def _blocks(test: EnergyTest, session: SessionParams) -> str | None:
    itself = "candidate" if len(test.contenders) == 1 else "baseline"
    for number, block in enumerate(test.blocks, start=1):
        expected = _expected(block, itself)
        found = [sample.contender for sample in block.samples]
        if found != expected:
            return f"block {number}, a {block.kind} in order {block.order}, holds {found}, not {expected}; run it again"
    if len(set(test.blocks)) != len(test.blocks):
        return "a block of samples is there twice, which makes chance look smaller than it is; run the test again"
    controls = sum(block.kind == "control" for block in test.blocks)
    if controls < session.minimum_blocks:
        return (
            f"{controls} control blocks are fewer than measure.session.minimum_blocks = {session.minimum_blocks}; "
            "let the session end"
        )
    return None


def _expected(block: Block, itself: str) -> list[str]:
    if block.kind == "control":
        return [itself] * 4
    return ["candidate" if place in PLACES_OF_A[block.order] else "baseline" for place in range(4)]


def _idle(test: EnergyTest) -> str | None:
    for when, idle in (("before", test.idle_before), ("after", test.idle_after)):
        if idle is None:
            return f"idle power {when} the samples is missing; without it nothing can be taken off; run the test again"
        if not _plausible(idle, alone=test.sensor.scope == "processes"):
            return (
                f"idle power {when} the samples reads {idle.watts:.4g} W; the meter did not count; "
                "see `wattline energy doctor`"
            )
    return None


def _plausible(idle: Idle, *, alone: bool) -> bool:
    """Whether idle power can be so. Only a meter that sees nothing but us reads nothing while we wait."""
    return math.isfinite(idle.watts) and (idle.watts >= 0 if alone else idle.watts > 0)


def _idle_drifted(test: EnergyTest, session: SessionParams) -> str | None:
    if test.idle_before is None or test.idle_after is None:
        return None  # `_idle` has said so
    idle, readings = idle_watts(test), list(samples(test))
    watts = sum(net_joules(sample, idle) for sample in readings) / sum(sample.seconds for sample in readings)
    drift = abs(test.idle_after.watts - test.idle_before.watts) / watts
    if drift <= session.idle_drift:
        return None
    return (
        f"idle power went from {test.idle_before.watts:.4g} W to {test.idle_after.watts:.4g} W, {drift:.1%} of the "
        f"{watts:.4g} W that the contenders draw above it (measure.session.idle_drift: {session.idle_drift:.1%}); "
        "wait until the machine is at rest"
    )


def _other_load(test: EnergyTest, session: SessionParams) -> str | None:
    """Load in only one contender's turns, or only while idling, is worse than the same load all the time."""
    if test.sensor.scope != "machine":
        return None
    for when, cores in _other_cores(test):
        if not cores <= session.other_cores:
            return (
                f"{cores:.3g} cores were busy with something else {when} (measure.session.other_cores: "
                f"{session.other_cores:.3g}) and {test.sensor.sensor} sees the whole machine; take the node exclusively"
            )
    return None


def _other_cores(test: EnergyTest) -> Iterator[tuple[str, float]]:
    """When, and how many cores were then busy with anything else, on average over time."""
    for when, idle in (("before the samples", test.idle_before), ("after the samples", test.idle_after)):
        if idle is not None:
            yield when, idle.other_cores
    for contender in test.contenders:
        readings = list(samples(test, contender.name))
        if readings:
            busy = sum(sample.other_cores * sample.seconds for sample in readings)
            yield f"in the {contender.name}'s samples", busy / sum(sample.seconds for sample in readings)
