"""Were the alarms right? What people said of them through /feedback."""

from math import sqrt

import pyarrow as pa
import pyarrow.compute as pc

from wattline.monitoring.records import Precision, Signal
from wattline.params.monitoring import LabelsParams

Z = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (NaN, NaN) without trials."""
    if not trials:
        return float("nan"), float("nan")
    share, square = successes / trials, Z * Z
    centre = share + square / (2 * trials)
    spread = Z * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def precision(answers: pa.Table) -> Precision:
    """Count. answers: as `predictions.joined` gives them; a label that is null says nothing"""
    alarms = answers.filter(pc.fill_null(answers["alarm"], False))
    labels = alarms["label"].drop_null()
    confirmed = int(pc.sum(labels).as_py() or 0)
    silent = answers.filter(pc.invert(pc.fill_null(answers["alarm"], False)))
    low, high = wilson(confirmed, len(labels))
    return Precision(
        alarms=alarms.num_rows,
        labelled=len(labels),
        confirmed=confirmed,
        missed=int(pc.sum(silent["label"]).as_py() or 0),
        value=confirmed / len(labels) if len(labels) else float("nan"),
        low=low,
        high=high,
    )


def signal(found: Precision, params: LabelsParams) -> Signal:
    """The answer to: is the precision of alarms below what it must be, beyond what chance explains?"""
    missed = f"; {found.missed} answers without an alarm were called anomalies" if found.missed else ""
    said = f"{found.confirmed} of {found.labelled} labelled alarms were right ({found.alarms} alarms{missed})"
    if found.labelled < params.minimum_labels:
        lacking = "too few samples" if found.labelled else "no labels"
        needed = f"{params.minimum_labels} labelled alarms of the last {params.days:g} days are needed"
        return Signal(name="labels", outcome="unknown", lacking=lacking, reason=f"{said}: {needed}")
    return Signal(
        name="labels",
        outcome="alarm" if found.high < params.minimum_precision else "quiet",
        value=found.value,
        limit=params.minimum_precision,
        reason=f"{said}, 95 % interval [{found.low:.3f}, {found.high:.3f}]",
    )
