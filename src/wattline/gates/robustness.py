"""Gate: does the candidate survive the noise and gaps that telemetry has?"""

from wattline.gates.evidence import Insufficient, fails_closed
from wattline.gates.scores import evaluated, headline, same_units, sound
from wattline.params import RobustnessLimits
from wattline.records import Evaluation, Verdict


@fails_closed
def robustness(evidence: Evaluation | None, limits: RobustnessLimits) -> Verdict:
    """No perturbation takes more than a share of the headline metric."""
    evaluation = evaluated(evidence)
    losses = _losses(evaluation)
    name = max(losses, key=losses.__getitem__)
    loss = losses[name]
    passed = loss <= limits.maximum_loss
    clean = headline(evaluation, "candidate").value
    perturbed = evaluation.robustness[name].value
    return Verdict(
        name="robustness",
        passed=passed,
        value=loss,
        limit=limits.maximum_loss,
        reason=f"loss of {evaluation.headline.name} {loss:.2%} {'<=' if passed else '>'} {limits.maximum_loss:.2%}: "
        f"{clean:.4g} becomes {perturbed:.4g} under {name}, the worst of {len(losses)} perturbations",
        evidence=("reports/evaluate.json",),
    )


def _losses(evaluation: Evaluation) -> dict[str, float]:
    """Perturbation -> share of the clean score that it takes; negative where it helps."""
    metric = evaluation.headline
    clean = headline(evaluation, "candidate")
    if not evaluation.robustness:
        raise Insufficient("reports/evaluate.json holds no perturbation; run `dvc repro evaluate`")
    if not clean.value:
        raise Insufficient(f"{metric.name} of the candidate is 0, so that no share of it can be lost")
    losses = {}
    for name in evaluation.robustness:
        score = sound(evaluation.robustness, name, of="the candidate under perturbation")
        same_units(score, clean, of=f"perturbation {name}")
        lost = clean.value - score.value if metric.higher_is_better else score.value - clean.value
        losses[name] = lost / abs(clean.value)
    return losses
