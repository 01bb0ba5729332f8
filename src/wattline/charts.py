"""Pictures of what was evaluated, as PNG bytes that are equal for equal figures."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from wattline.records import Evaluation, Metric, Slice, worst_first
from wattline.task import Outputs, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CANDIDATE, OTHER, ALARM = "#1b6ca8", "#9aa5b1", "#c8452f"
MAXIMUM_BARS = 60


def contenders(evaluation: Evaluation) -> bytes:
    """Headline metric of every contender with its 95 % interval."""
    metric = evaluation.headline
    scores = {name: values[metric.name] for name, values in evaluation.contenders.items()}
    figure, axes = _figure(height=0.5 * len(scores) + 1.4)
    for place, (name, score) in enumerate(reversed(scores.items())):
        axes.barh(place, score.value, color=CANDIDATE if name == "candidate" else OTHER, height=0.65)
        axes.plot([score.low, score.high], [place, place], color="black", linewidth=1.2)
        axes.annotate(f" {score.value:.3g}", (score.high, place), va="center", fontsize=9)
    axes.set_yticks(range(len(scores)), list(reversed(scores)))
    axes.set_xlabel(_label(metric))
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
    figure, axes = _figure(height=0.22 * len(units) + 1.4)
    axes.barh([part.name for part in units], [part.scores[metric.name] for part in units], color=CANDIDATE)
    axes.axvline(evaluation.contenders["candidate"][metric.name].value, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel(f"{_label(metric)}; line: mean of all units")
    axes.set_title(f"Worst unit: {units[0].name}" if units else "No unit has a defined score", loc="left")
    return png(figure)


def extremes(units: Sequence[Slice], metric: Metric) -> dict[str, Slice]:
    """The worst and the best unit; empty when no unit has a defined score."""
    ordered = worst_first(units, metric)
    return {"worst_unit": ordered[0], "best_unit": ordered[-1]} if ordered else {}


def timeline(series: Series, outputs: Outputs, part: Slice, metric: Metric, *, unit: str) -> bytes:
    """Answers of one unit over time, in `unit`, beside what they are judged against."""
    figure, axes = _figure(height=3.2)
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


def latency(values: Mapping[str, Sequence[float]], *, unit: str) -> bytes:
    """Distribution of single-window latencies of each contender."""
    figure, axes = _figure(height=2.8)
    for name, sample in values.items():
        ordered = np.sort(np.asarray(sample))
        axes.plot(ordered, np.linspace(0, 100, len(ordered)), label=name)
    axes.set_xscale("log")
    axes.set_xlabel(f"latency of one window [{unit}]")
    axes.set_ylabel("share of calls [%]")
    axes.legend()
    axes.set_title("Latency of single windows, one thread", loc="left")
    return png(figure)


def _label(metric: Metric) -> str:
    direction = "higher" if metric.higher_is_better else "lower"
    return f"{metric.name} [{metric.unit}], {direction} is better"


def _figure(*, height: float) -> "tuple[Figure, Axes]":
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: "Figure") -> bytes:
    """The figure as PNG bytes, without the name and version of the library that drew it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
