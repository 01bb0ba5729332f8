"""Gate: is the candidate at least as good as the model that serves now?"""

from wattline.gates.evidence import Insufficient, fails_closed
from wattline.gates.scores import comparison, evaluated, headline, improved, pessimistic, reaches, same_units, sound
from wattline.params import ChampionLimits
from wattline.records import Evaluation, Verdict


@fails_closed
def champion(evidence: Evaluation | None, limits: ChampionLimits) -> Verdict:
    """The worse bound of the paired difference candidate - champion stays within the tolerance."""
    evaluation = evaluated(evidence)
    metric = evaluation.headline
    limit = improved(0.0, -limits.tolerance, metric)
    if nothing_promoted(evaluation):
        return Verdict(
            name="champion",
            passed=True,
            value=0.0,
            limit=limit,
            unit=metric.unit,
            reason="nothing was promoted yet",
            evidence=("reports/evaluate.json",),
        )
    difference = sound(evaluation.versus_champion, metric.name, of="candidate - champion")
    same_units(difference, headline(evaluation, "candidate"), of="the champion")
    bound = pessimistic(difference, metric)
    against = f"paired difference {difference} to champion version {evaluation.champion.version}"
    return Verdict(
        name="champion",
        passed=reaches(bound, limit, metric),
        value=bound,
        limit=limit,
        unit=metric.unit,
        reason=f"difference of {comparison(bound, limit, metric)}: the worse bound of {against} on the same rows",
        evidence=("reports/evaluate.json",),
    )


def nothing_promoted(evaluation: Evaluation) -> bool:
    """Whether it was recorded that there is no champion. Raises Insufficient when the record contradicts itself."""
    recorded = evaluation.champion
    if recorded.version is not None and recorded.digest is not None:
        return False
    traces = "champion" in evaluation.contenders or evaluation.versus_champion
    if recorded.version is not None or recorded.digest is not None or traces:
        raise Insufficient(
            f"reports/evaluate.json names champion version {recorded.version}, digest {recorded.digest}, "
            "which does not identify one; run `wattline champion` and `dvc repro evaluate`"
        )
    return True
