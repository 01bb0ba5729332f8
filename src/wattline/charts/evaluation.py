"""Pictures of how good answers are: contenders, slices, and answers over time."""

from collections.abc import Sequence

import numpy as np

from wattline.charts.canvas import ALARM, CANDIDATE, OTHER, canvas, label, png
from wattline.records import Evaluation, Metric, Slice, worst_first
from wattline.task import Outputs, Series

MAXIMUM_BARS = 60


def contenders(evaluation: Evaluation) -> bytes:
    """Headline metric of every contender with its 95 % interval."""
    metric = evaluation.headline
    scores = {name: values[metric.name] for name, values in evaluation.contenders.items()}
    figure, axes = canvas(height=0.5 * len(scores) + 1.4)
    for place, (name, score) in enumerate(reversed(scores.items())):
        axes.barh(place, score.value, color=CANDIDATE if name == "candidate" else OTHER, height=0.65)
        axes.plot([score.low, score.high], [place, place], color="black", linewidth=1.2)
        axes.annotate(f" {score.value:.3g}", (score.high, place), va="center", fontsize=9)
    axes.set_yticks(range(len(scores)), list(reversed(scores)))
    axes.set_xlabel(label(metric))
    axes.margins(x=0.12)
    defined = [name for name, score in scores.items() if np.isfinite(score.value)]
    best = (max if metric.higher_is_better else min)(defined, key=lambda name: scores[name].value, default=None)
    what = f"Best of {len(scores)}" if best else "No contender has a defined score"
    axes.set_title(f"{what} on {evaluation.rows:,} test rows" + (f": {best}" if best else ""), loc="left")
    return png(figure)


def slices(evaluation: Evaluation) -> bytes:
    """Headline metric of the candidate by unit, worst first; beyond MAXIMUM_BARS units, the worst of them."""
    metric = evaluation.headline
    units = worst_first([part for part in evaluation.slices if part.kind == "unit"], metric)[:MAXIMUM_BARS]
    figure, axes = canvas(height=0.22 * len(units) + 1.4)
    axes.barh([part.name for part in units], [part.scores[metric.name] for part in units], color=CANDIDATE)
    axes.axvline(evaluation.contenders["candidate"][metric.name].value, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel(f"{label(metric)}; line: mean of all units")
    axes.set_title(f"Worst unit: {units[0].name}" if units else "No unit has a defined score", loc="left")
    return png(figure)


def extremes(units: Sequence[Slice], metric: Metric) -> dict[str, Slice]:
    """The worst and the best unit; empty when no unit has a defined score."""
    ordered = worst_first(units, metric)
    return {"worst_unit": ordered[0], "best_unit": ordered[-1]} if ordered else {}


def timeline(series: Series, outputs: Outputs, part: Slice, metric: Metric, *, unit: str) -> bytes:
    """Answers of one unit over time, in `unit`, beside what they are judged against."""
    figure, axes = canvas(height=3.2)
    times = series.timestamps.astype("datetime64[s]").astype(object)
    known = series.target[np.isfinite(series.target)]
    if set(np.unique(known)) <= {0.0, 1.0}:
        anomalous = series.target == 1
        top = float(np.quantile(outputs["score"], 0.999)) * 1.2 or 1.0
        axes.fill_between(
            times, 0, top, where=anomalous, color=ALARM, alpha=0.3, label="labelled anomalous", step="mid"
        )
        axes.set_ylim(0, top)
    else:
        axes.plot(times, series.target, color=ALARM, linewidth=1, label="observed")
    axes.plot(times, outputs["score"], color=CANDIDATE, linewidth=0.7, label="score of the candidate")
    if "threshold" in outputs:
        axes.plot(times, outputs["threshold"], color="black", linewidth=1, linestyle="--", label="alarm threshold")
    axes.set_xlabel("time [UTC]")
    axes.set_ylabel(f"score [{unit}]")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False)
    axes.set_title(f"{part.name}: {metric.name} {part.scores[metric.name]:.3g}", loc="left")
    figure.autofmt_xdate()
    return png(figure)
