"""The chosen model against its closest competitor: is the difference real?"""

import math
from collections.abc import Mapping

from wattline import intervals
from wattline.bakeoff import measuring
from wattline.bakeoff.plan import section
from wattline.bakeoff.record import Choice, Inputs, Versus
from wattline.bakeoff.workspace import Workspace
from wattline.energy.paired import Judgement, judge
from wattline.errors import WattlineError
from wattline.measuring.comparing import compare
from wattline.measuring.report import Comparison
from wattline.params import Params
from wattline.records import Evaluation, Score


def hold(
    choice: Choice,
    places: Mapping[str, Workspace],
    evaluations: Mapping[str, Evaluation],
    loaded: Params,
    shared: Inputs,
) -> Versus | None:
    """Compare the first two that meet the rule; None where there are no two."""
    if len(choice.ranked) < 2:
        return None
    chosen, other = choice.ranked[:2]
    held = {name: places[name] for name in (chosen, other)}
    limits = loaded.block.gates.energy, loaded.block.gates.champion, section(loaded).rule
    inputs = measuring.identity(
        held, chosen, loaded.block.measure, loaded.block.energy, loaded.block.evaluate, *limits, loaded.seed, shared
    )
    return measuring.remembered("versus", Versus, inputs, lambda: _hold(inputs, held, evaluations, loaded))


def _hold(inputs: str, held: Mapping[str, Workspace], evaluations: Mapping[str, Evaluation], loaded: Params) -> Versus:
    chosen, other = held
    comparison, problem = None, None
    try:
        ruled = _with_tolerance(loaded, evaluations[other])
        comparison = compare(held[chosen].candidate, held[other].candidate, ruled)
    except WattlineError as error:
        problem = str(error)
    return Versus(
        inputs=inputs,
        name=other,
        difference=difference(evaluations[chosen], evaluations[other], loaded),
        comparison=comparison,
        session=loaded.block.measure.session,
        problem=problem,
    )


def difference(chosen: Evaluation, other: Evaluation, loaded: Params) -> Score:
    """Headline of the chosen one minus that of the other, over the units where both have one."""
    name = chosen.headline.name
    first, second = (
        {part.name: part.scores[name] for part in one.slices if part.kind == "unit"} for one in (chosen, other)
    )
    units = [unit for unit in first if math.isfinite(first[unit]) and math.isfinite(second.get(unit, math.nan))]
    return intervals.paired_difference(
        [first[unit] for unit in units],
        [second[unit] for unit in units],
        resamples=loaded.block.evaluate.resamples,
        seed=loaded.seed,
    )


def judged(versus: Versus, comparison: Comparison) -> Judgement:
    """What the samples of the paired test say; no conclusion that was stored counts."""
    return judge(
        comparison.test,
        comparison.limits,
        tolerance=comparison.tolerance,
        maximum_blocks=versus.session.maximum_blocks,
        session=versus.session,
    )


def _with_tolerance(loaded: Params, other: Evaluation) -> Params:
    """Where the fewest joules are chosen, answers may be worse down to the floor."""
    floor, gates = section(loaded).rule.floor, loaded.block.gates
    if floor is None:
        return loaded
    room = abs(other.contenders["candidate"][other.headline.name].value - floor)
    champion = gates.champion.model_copy(update={"tolerance": max(gates.champion.tolerance, room)})
    block = loaded.block.model_copy(update={"gates": gates.model_copy(update={"champion": champion})})
    return loaded.model_copy(update={"block": block})
