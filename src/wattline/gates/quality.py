"""Gate: is the candidate accurate enough to be considered at all?"""

from wattline.gates.evidence import Insufficient, fails_closed
from wattline.gates.scores import best, comparison, evaluated, headline, improved, pessimistic, reaches, same_units
from wattline.params import QualityLimits
from wattline.records import Evaluation, Metric, Verdict


@fails_closed
def quality(evidence: Evaluation | None, limits: QualityLimits) -> Verdict:
    """The worse bound reaches the limit, and the value beats the best baseline by the margin."""
    evaluation = evaluated(evidence)
    metric = evaluation.headline
    if metric.name != limits.metric:
        raise Insufficient(f"gates.quality.metric is {limits.metric!r}, but evaluate judged by {metric.name!r}")
    score = headline(evaluation, "candidate")
    bound = pessimistic(score, metric)
    accuracy = f"{comparison(bound, limits.limit, metric)}: the worse bound of {score} on {evaluation.rows:,} rows"
    baselines = _baselines(evaluation)
    rival = best(baselines, metric)
    needed = improved(baselines[rival], limits.margin_over_baselines * abs(baselines[rival]), metric)
    gain = (
        f"{comparison(score.value, needed, metric)}: baseline {rival} at {baselines[rival]:.4g} "
        f"and the margin of {limits.margin_over_baselines:.1%}"
    )
    if not reaches(bound, limits.limit, metric):
        return _verdict(bound, limits.limit, metric, passed=False, reason=accuracy)
    if not reaches(score.value, needed, metric):
        return _verdict(score.value, needed, metric, passed=False, reason=gain)
    return _verdict(bound, limits.limit, metric, passed=True, reason=f"{accuracy}; {gain}")


def _baselines(evaluation: Evaluation) -> dict[str, float]:
    """Baseline -> headline value, each on the candidate's units."""
    names = [name for name in evaluation.contenders if name not in ("candidate", "champion")]
    if not names:
        raise Insufficient("reports/evaluate.json holds no baseline; the task must give one, then `dvc repro evaluate`")
    candidate = headline(evaluation, "candidate")
    for name in names:
        same_units(headline(evaluation, name), candidate, of=f"baseline {name}")
    return {name: headline(evaluation, name).value for name in names}


def _verdict(value: float, limit: float, metric: Metric, *, passed: bool, reason: str) -> Verdict:
    return Verdict(
        name="quality",
        passed=passed,
        value=value,
        limit=limit,
        unit=metric.unit,
        reason=reason,
        evidence=("reports/evaluate.json",),
    )
