"""What a session of the energy test says: PASS, FAIL, or REFUSE, from nothing but what was observed."""

import math
from typing import Literal, NamedTuple

from wattline.energy.paired.control import control_bounds, distrust, pairs_needed
from wattline.energy.paired.observations import log_ratios
from wattline.energy.paired.obstacles import obstacle
from wattline.energy.paired.sequence import Bounds, bounds, level, looks
from wattline.params import EnergyLimits, SessionParams
from wattline.records import EnergyTest, Judgement

__all__ = ["Judgement", "judge"]


class Answer(NamedTuple):
    """An outcome before it is written down with its figures."""

    outcome: Literal["PASS", "FAIL", "REFUSE"]
    reason: str
    more: bool = False


def judge(
    test: EnergyTest, limits: EnergyLimits, *, tolerance: float, maximum_blocks: int, session: SessionParams
) -> Judgement:
    """Hold a session against the declared margin.

    What could not be observed properly is refused first; then worse answers fail, whatever they cost; then the
    control of a pair must be silent; then the bounds of the log-ratio decide. PASS when the upper one is under
    log(1 + margin), FAIL when the lower one is over it. Without a baseline there is
    nothing to compare, and a sound session passes.

    tolerance: how much worse the candidate's answers may be [unit of the headline metric]
    maximum_blocks: pairs after which the answer is that there is none; looks are planned with it
    session: the fewest blocks, and the limits of idle drift and of other load

    Raises InputError when `maximum_blocks` is under the fewest.
    """
    pairs = log_ratios(test, "pair")
    planned = looks(session.minimum_blocks, maximum_blocks)
    share = level(len(pairs), minimum=session.minimum_blocks, maximum=maximum_blocks, alpha=limits.alpha)
    # A number of pairs that was not planned is refused below, and its bounds are not shown as if they were valid.
    found = bounds(pairs if len(pairs) in planned else (), level=share)
    control = control_bounds(test, limits)
    known = math.isfinite(control.deviation)
    needed = pairs_needed(control, limits, minimum=session.minimum_blocks, maximum=maximum_blocks) if known else 0
    loss = _loss(test)
    answer = (
        _refused(obstacle(test, limits, session=session))
        or _worse_answers(test, loss, tolerance)
        or _refused(distrust(control, limits, needed=needed, maximum=maximum_blocks) if _is_paired(test) else None)
        or _decide(test, found, limits, planned=planned)
    )
    return Judgement(
        **answer._asdict(),
        ratio=found.ratio,
        interval=found.interval,
        control_ratio=control.ratio,
        control_interval=control.interval,
        blocks=len(pairs),
        blocks_needed=needed,
        loss=loss,
    )


def _is_paired(test: EnergyTest) -> bool:
    """Whether there is a ratio to trust. Alone, a candidate is held against a budget, and noise is in its interval."""
    return any(contender.name == "baseline" for contender in test.contenders)


def _refused(reason: str | None) -> Answer | None:
    return Answer("REFUSE", reason) if reason else None


def _loss(test: EnergyTest) -> float:
    """By how much the candidate's answers are worse [unit of the headline metric]; NaN without a baseline."""
    scores = {contender.name: contender.score for contender in test.contenders}
    candidate, baseline = scores.get("candidate", math.nan), scores.get("baseline", math.nan)
    return baseline - candidate if test.headline.higher_is_better else candidate - baseline


def _worse_answers(test: EnergyTest, loss: float, tolerance: float) -> Answer | None:
    if not loss > tolerance:
        return None
    scores = {contender.name: contender.score for contender in test.contenders}
    return Answer(
        "FAIL",
        f"no win by worse answers: {test.headline.name} of the candidate is {scores['candidate']:.4g}, of the baseline "
        f"{scores['baseline']:.4g} on the same requests, worse by {loss:.4g} {test.headline.unit} "
        f"(tolerance {tolerance:.4g})",
    )


def _decide(test: EnergyTest, found: Bounds, limits: EnergyLimits, *, planned: tuple[int, ...]) -> Answer:
    """The decision, where nothing forbids one."""
    blocks = sum(block.kind == "pair" for block in test.blocks)
    if not blocks and not _is_paired(test):
        return Answer("PASS", "there is no baseline to compare with: meter, idle power and load are in order")
    if blocks not in planned:
        return Answer(
            "REFUSE",
            f"{blocks} pairs are not one of the planned looks ({', '.join(map(str, planned))}), and to look in between "
            "raises the declared risks; run the session again with the present params",
        )
    limit = math.log1p(limits.margin)
    low, high = found.interval
    margin = f"{1 + limits.margin:.4f}"
    figures = f"ratio {found} from {blocks} pairs, {test.sensor.provenance} by {test.sensor.sensor}"
    if found.high < limit:
        return Answer("PASS", f"{high:.4f} < {margin}: upper bound of the {figures}")
    if found.low > limit:
        return Answer("FAIL", f"{low:.4f} > {margin}: even the lower bound of the {figures}")
    return _undecided(f"the margin {margin} lies within the {figures}", blocks, planned)


def _undecided(finding: str, blocks: int, planned: tuple[int, ...]) -> Answer:
    later = [look for look in planned if look > blocks]
    if later:
        return Answer("REFUSE", f"{finding}; the next look is at {later[0]} pairs", more=True)
    return Answer(
        "REFUSE",
        f"{finding}; allow more measure.session.maximum_blocks, lengthen sample_seconds, or use a quieter machine",
    )
