"""Gate: does the candidate cost no more energy than it may? Three answers: yes, no, and the evidence cannot tell.

It has three parts: a prediction against the champion's, a prediction against a budget, and a training against one.
"""

import math
from collections.abc import Sequence
from typing import Literal

from wattline.energy import pareto
from wattline.energy.meters import MeterError
from wattline.energy.paired.figures import per_1000
from wattline.energy.paired.judgement import judge
from wattline.gates import budget
from wattline.gates.champion import nothing_promoted
from wattline.gates.evidence import Insufficient, fails_closed, present, unanswered
from wattline.gates.scores import evaluated
from wattline.params import ChampionLimits, EnergyLimits, SessionParams
from wattline.records import (
    Champion,
    Earlier,
    Energy,
    EnergyTest,
    Evaluation,
    Judgement,
    Measurement,
    Metric,
    Provenance,
    Verdict,
)

RATIO = "J per J of the champion"
FIRST = "there is none yet, so that only the budgets count"
NO_TEST = "reports/measure.json holds no energy test"
AGAIN = "run `dvc repro --force measure`"


@fails_closed
def energy(
    evidence: Measurement | None,
    limits: EnergyLimits,
    *,
    evaluation: Evaluation | None,
    champion: ChampionLimits,
    session: SessionParams,
    earlier: Earlier | None = None,
) -> Verdict:
    """No part fails and none refuses. What decides is the first part that fails, else the first that refuses.

    evaluation: says whether there is a champion: a measurement without one is no proof that there is none
    champion: how much worse the candidate's answers may be; no win by worse answers
    session: how the energy test was planned
    earlier: versions that the candidate is set beside; they decide nothing
    """
    measurement, known = present(evidence, "measure"), evaluated(evaluation)
    parts = {
        "champion": _against_champion(measurement, known, limits, champion, session),
        "budget": _within_budget(measurement, limits),
        "training": budget.training(measurement.training_energy, limits),
    }
    decided = _first(list(parts.values()))
    told = [f"{name} {part.outcome}: {part.reason}" for name, part in parts.items()]
    beside = pareto.pareto(known, measurement, earlier)
    if beside is not None:
        told.append(pareto.sentence(beside))
    reason = "; ".join(told)
    if decided.passed:
        reason = _once(f" by {measurement.candidate.energy_per_1000.sensor}", reason)
    return decided.model_copy(update={"reason": reason})


def judged(test: EnergyTest, limits: EnergyLimits, *, champion: ChampionLimits, session: SessionParams) -> Judgement:
    """What the raw samples of the energy test say; no conclusion that was stored counts."""
    return judge(test, limits, tolerance=champion.tolerance, maximum_blocks=session.maximum_blocks, session=session)


def _once(words: str, text: str) -> str:
    """`text` with `words` where they stand first alone: every part names the same sensor."""
    before, found, after = text.partition(words)
    return before + found + after.replace(words, "")


def _first(parts: Sequence[Verdict]) -> Verdict:
    """The part that decides. Where all pass, it is the first one with a figure."""
    for outcome in ("FAIL", "REFUSE"):
        for part in parts:
            if part.outcome == outcome:
                return part
    return next(part for part in parts if math.isfinite(part.value))


def _against_champion(
    measurement: Measurement,
    evaluation: Evaluation,
    limits: EnergyLimits,
    champion: ChampionLimits,
    session: SessionParams,
) -> Verdict:
    """The ratio of energies, from the raw samples of a test between just these two."""
    try:
        test = _tested(measurement, evaluation)
    except Insufficient as reason:
        return unanswered("energy", str(reason))
    found = judged(test, limits, champion=champion, session=session)
    if evaluation.champion.version is None and found.outcome == "PASS":
        return _verdict("PASS", reason=FIRST)
    return _figured(found, limits, champion, test)


def _within_budget(measurement: Measurement, limits: EnergyLimits) -> Verdict:
    """The budget of 1,000 predictions, from the raw samples."""
    test = measurement.test
    if test is None:
        return unanswered("energy", f"{NO_TEST}, so that no samples prove its figure; {AGAIN}")
    try:
        found = per_1000(test, "candidate")
        _check_figure("candidate", measurement.candidate.energy_per_1000, found)
        if measurement.champion is not None:
            _check_figure("champion", measurement.champion.energy_per_1000, per_1000(test, "baseline"))
    except MeterError as error:
        return _verdict("REFUSE", reason=str(error), limit=limits.budget_joules)
    except Insufficient as reason:
        return unanswered("energy", str(reason))
    return budget.predictions(found, limits)


def _check_figure(name: str, said: Energy, found: Energy) -> None:
    """Raise Insufficient where a figure of a report is not the one that its samples give."""
    if _differ(said, found):
        raise Insufficient(
            f"reports/measure.json says {said.joules:.4g} J {said.provenance} by {said.sensor} ({said.boundary}) of "
            f"the {name}, its samples say {found.joules:.4g} J {found.provenance} by {found.sensor} "
            f"({found.boundary}); {AGAIN}"
        )


def _differ(said: Energy, found: Energy) -> bool:
    """Whether a figure is not the one that its samples give, but for the last digits of a float."""
    (low, high), (lower, higher) = said.interval, found.interval
    figures = (said.joules, found.joules), (low, lower), (high, higher), (said.seconds, found.seconds)
    equal = all(math.isclose(one, other, rel_tol=1e-9) for one, other in figures)
    same = {"joules": said.joules, "interval": said.interval, "seconds": said.seconds}
    return not equal or said != found.model_copy(update=same)


def _figured(found: Judgement, limits: EnergyLimits, champion: ChampionLimits, test: EnergyTest) -> Verdict:
    """The answer with the figure that decided: a bound of the ratio, or how much worse the answers are."""
    if found.outcome == "FAIL" and found.loss > champion.tolerance:
        limit, unit = champion.tolerance, test.headline.unit
        return _verdict("FAIL", reason=found.reason, value=found.loss, limit=limit, unit=unit)
    value = {"PASS": found.interval[1], "FAIL": found.interval[0], "REFUSE": found.ratio}[found.outcome]
    return _verdict(
        found.outcome,
        reason=found.reason,
        value=value,
        limit=1 + limits.margin,
        unit=RATIO,
        provenance=test.sensor.provenance,
    )


def _tested(measurement: Measurement, evaluation: Evaluation) -> EnergyTest:
    """The test of this candidate against this champion, or alone where there is none.

    Raises Insufficient when there is no test, or it is about others, or of answers that count in another metric.
    """
    alone, champion = nothing_promoted(evaluation), evaluation.champion
    beside = measurement.champion.digest if measurement.champion is not None else None
    if beside != champion.digest:
        raise Insufficient(
            f"reports/measure.json was made beside {_champion(beside)}, reports/evaluate.json beside "
            f"{_champion(champion.digest)}; run `wattline champion` and `dvc repro`"
        )
    test = measurement.test
    if test is None:
        raise Insufficient(f"{NO_TEST}{'' if alone else f' against version {champion.version}'}; {AGAIN}")
    if test.headline != evaluation.headline:
        raise Insufficient(
            f"the energy test scored answers by {_metric(test.headline)}, the evaluation by "
            f"{_metric(evaluation.headline)}; {AGAIN}"
        )
    _check_subjects(test, measurement, champion)
    return test


def _metric(metric: Metric) -> str:
    return f"{metric.name} [{metric.unit}], {'higher' if metric.higher_is_better else 'lower'} is better"


def _check_subjects(test: EnergyTest, measurement: Measurement, champion: Champion) -> None:
    """Raise Insufficient unless the samples are of these two."""
    expected = {("candidate", measurement.candidate.digest)}
    if champion.digest is not None:
        expected |= {("baseline", champion.digest)}
    found = [(contender.name, contender.digest) for contender in test.contenders]
    if sorted(found) != sorted(expected):
        names = ", ".join(f"{name} {digest[:12]}" for name, digest in found) or "nobody"
        wanted = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(expected))
        raise Insufficient(f"the energy test is about {names}, not {wanted}; run `dvc repro --force measure`")


def _champion(digest: str | None) -> str:
    return f"champion {digest[:12]}" if digest is not None else "no champion"


def _verdict(
    outcome: Literal["PASS", "FAIL", "REFUSE"],
    *,
    reason: str,
    value: float = math.nan,
    limit: float = math.nan,
    unit: str = "1",
    provenance: Provenance = "computed",
) -> Verdict:
    return Verdict(
        name="energy",
        passed=outcome == "PASS",
        refused=outcome == "REFUSE",
        value=value,
        limit=limit,
        unit=unit,
        reason=reason,
        evidence=("reports/measure.json", "reports/evaluate.json"),
        provenance=provenance,
    )
