"""A look as people and GitLab read it: lines, a picture, figures."""

import numpy as np

from wattline import charts, files
from wattline.drift.rows import Rows
from wattline.gitlab.reports.openmetrics import Family, Sample, render
from wattline.monitoring.records import Look

NAME = "monitor"
METRICS = files.REPORTS / "ci" / "monitor.txt"
PICTURE = files.REPORTS / "monitor" / "drift.png"


def write(look: Look, *, served: Rows, reference: Rows, unit: str) -> None:
    """Write reports/monitor.json, reports/monitor/drift.png and reports/ci/monitor.txt.

    served, reference: scores, in `unit`
    """
    files.write_report(NAME, look)
    files.write_text(METRICS, metrics(look))
    columns = {one.name: (one.distance, one.limit, one.drifted) for one in (*look.inputs.columns, *look.scores.columns)}
    scores = (np.ravel(served.pooled()), np.ravel(reference.pooled()))
    files.write_bytes(PICTURE, charts.drift(columns, scores, unit=unit, title=_title(look)))


def lines(look: Look) -> list[str]:
    """One line for each signal, one for the rule, one for what became of it."""
    span = f"{look.since:%Y-%m-%d %H:%M} to {look.until:%Y-%m-%d %H:%M} UTC"
    head = f"looked at    {look.model} version {look.version}, {look.source}, {span}"
    before = f"; the look before: {look.previous}" if look.previous else "; no look before is known"
    signals = [f"{one.name:<12} {one.outcome:<8} {_lacking(one.lacking)}{one.reason}" for one in look.signals]
    asked = "retrain" if look.decision.retrain else "wait"
    rule = f"rule         {asked:<8} {look.decision.reason}"
    done = f"pipeline     {look.retraining.outcome}: {look.retraining.reason}"
    return [head + before, *signals, rule, done + (f" {look.retraining.url}" if look.retraining.url else "")]


def metrics(look: Look) -> str:
    """OpenMetrics: what GitLab shows beside the figures of the look before."""
    return render((
        Family(
            "wattline_monitor_alarm",
            "1 for an alarm, 0 for none; a signal without an answer is not here",
            tuple(
                Sample(float(one.outcome == "alarm"), {"signal": one.name})
                for one in look.signals
                if one.outcome != "unknown"
            ),
        ),
        Family(
            "wattline_monitor_unknown",
            "1 for a signal without an answer",
            tuple(Sample(float(one.outcome == "unknown"), {"signal": one.name}) for one in look.signals),
        ),
        Family(
            "wattline_monitor_distance_ratio",
            "largest difference of distribution functions from the reference",
            tuple(
                Sample(one.distance, {"of": of, "column": one.name})
                for of, drift in (("inputs", look.inputs), ("scores", look.scores))
                for one in drift.columns
            ),
            unit="ratio",
        ),
        Family("wattline_monitor_drifted_ratio", "columns that drifted", (Sample(look.inputs.share),), "ratio"),
        Family("wattline_monitor_answers", "answers that were looked at", (Sample(look.scores.rows),)),
        Family("wattline_monitor_precision_ratio", "share of alarms that were right", _precision(look), "ratio"),
        Family(
            "wattline_monitor_energy_per_1000_predictions_joules", "energy in production", _energy(look), "joules"
        ),
        Family("wattline_monitor_retrain", "1 where the rule asks", (Sample(float(look.decision.retrain)),)),
    ))  # fmt: skip


def _precision(look: Look) -> tuple[Sample, ...]:
    found = look.labels
    return tuple(
        Sample(value, {"bound": bound})
        for bound, value in (("value", found.value), ("low", found.low), ("high", found.high))
    )


def _energy(look: Look) -> tuple[Sample, ...]:
    found = look.energy
    if found is None:
        return ()
    parts = (("graphs", found.inference_per_1000), ("server", found.server_per_1000))
    return tuple(Sample(value, {"of": of, "provenance": found.provenance}) for of, value in parts)


def _lacking(lacking: str | None) -> str:
    return f"({lacking}) " if lacking else ""


def _title(look: Look) -> str:
    if not look.inputs.columns:
        return "No answer on inputs: too few samples"
    return f"{len(look.inputs.drifted)} of {len(look.inputs.columns)} inputs drifted, {look.inputs.rows:,} rows"
