"""Gate: does the candidate work everywhere, or only on average?"""

import math

from wattline.gates.evidence import Insufficient, fails_closed
from wattline.gates.scores import comparison, evaluated, reaches, worst
from wattline.params import SlicesLimits
from wattline.records import Evaluation, Verdict


@fails_closed
def slices(evidence: Evaluation | None, limits: SlicesLimits) -> Verdict:
    """The worst group with enough rows reaches the limit."""
    evaluation = evaluated(evidence)
    metric = evaluation.headline
    groups = _judged(evaluation, limits.minimum_rows)
    name = worst(groups, metric)
    value = groups[name]
    return Verdict(
        name="slices",
        passed=reaches(value, limits.limit, metric),
        value=value,
        limit=limits.limit,
        unit=metric.unit,
        reason=f"{comparison(value, limits.limit, metric)}: worst group {name} of {len(groups)} that were judged",
        evidence=("reports/evaluate.json",),
    )


def _judged(evaluation: Evaluation, minimum_rows: int) -> dict[str, float]:
    """Group -> headline score, where it is defined and rests on enough rows."""
    metric = evaluation.headline.name
    groups = {
        part.name: part.scores.get(metric, math.nan)
        for part in evaluation.slices
        if part.kind == "group" and part.rows >= minimum_rows
    }
    defined = {name: value for name, value in groups.items() if not math.isnan(value)}
    if not defined:
        raise Insufficient(
            f"no group has {minimum_rows:,} rows and a defined {metric}; "
            "collect more rows or lower gates.slices.minimum_rows"
        )
    return defined
