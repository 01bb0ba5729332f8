"""Scores as evidence: which are sound, which way is up, and what they are worth at worst."""

import math
from collections.abc import Mapping

from wattline.gates.evidence import Insufficient, present
from wattline.records import Evaluation, Metric, Score


def evaluated(evidence: Evaluation | None) -> Evaluation:
    """The evaluation. Raises Insufficient where there is none, or where it does not rest on known rows."""
    evaluation = present(evidence, "evaluate")
    if evaluation.rows < 1 or not evaluation.rows_sha256:
        raise Insufficient("reports/evaluate.json does not say which rows were scored; run `dvc repro evaluate`")
    return evaluation


def sound(scores: Mapping[str, Score], metric: str, *, of: str) -> Score:
    """The score of `metric`. Raises Insufficient unless it is finite, with an interval that is not inverted.

    of: what was scored, for the message
    """
    score = scores.get(metric)
    if score is None:
        raise Insufficient(f"reports/evaluate.json has no {metric} of {of}; run `dvc repro evaluate`")
    figures = (score.value, score.low, score.high)
    if not score.units or not all(map(math.isfinite, figures)) or score.low > score.high:
        raise Insufficient(f"{metric} of {of} is {score} over {score.units} units, which is no figure to judge by")
    return score


def headline(evaluation: Evaluation, contender: str) -> Score:
    """The headline score of one contender. Raises Insufficient where it has no sound one."""
    return sound(evaluation.contenders.get(contender, {}), evaluation.headline.name, of=contender)


def same_units(score: Score, other: Score, *, of: str) -> None:
    """Raise Insufficient when two scores rest on different units: a unit that one failed on would flatter it."""
    if score.units != other.units:
        raise Insufficient(
            f"{of} was scored on {score.units} units and the candidate on {other.units}; "
            "look for undefined scores in reports/evaluate.json"
        )


def pessimistic(score: Score, metric: Metric) -> float:
    """The bound of the interval that is worse for a model."""
    return score.low if metric.higher_is_better else score.high


def reaches(value: float, limit: float, metric: Metric) -> bool:
    """Whether `value` is as good as `limit` or better. NaN and infinities reach nothing."""
    return math.isfinite(value) and (value >= limit if metric.higher_is_better else value <= limit)


def best(values: Mapping[str, float], metric: Metric) -> str:
    """Name of the best of `values`, the first one among equals."""
    return (max if metric.higher_is_better else min)(values, key=values.__getitem__)


def worst(values: Mapping[str, float], metric: Metric) -> str:
    """Name of the worst of `values`, the first one among equals."""
    return (min if metric.higher_is_better else max)(values, key=values.__getitem__)


def improved(value: float, by: float, metric: Metric) -> float:
    """`value` moved by `by` in the better direction; a negative `by` makes it worse."""
    return value + by if metric.higher_is_better else value - by


def comparison(value: float, limit: float, metric: Metric) -> str:
    """How `value` stands to `limit`, e.g. "vus_pr 0.61 >= 0.45"."""
    met, missed = (">=", "<") if metric.higher_is_better else ("<=", ">")
    sign = met if reaches(value, limit, metric) else missed
    unit = "" if metric.unit == "1" else f" {metric.unit}"
    return f"{metric.name} {value:.4g}{unit} {sign} {limit:.4g}{unit}"
