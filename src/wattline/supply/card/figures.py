"""Sections of the card about what was measured on the model: scores, slices and latency."""

from wattline.records import Evaluation, Measurement, worst_first
from wattline.supply.card.energy import performances
from wattline.supply.card.markdown import required, table

WORST_SLICES = 5


def evaluation(evaluation: Evaluation, pictures: str) -> list[str]:
    """Every contender on the same rows."""
    metrics = list(evaluation.contenders["candidate"])
    rows = [[name, *(str(scores[metric]) for metric in metrics)] for name, scores in evaluation.contenders.items()]
    return [
        f"All contenders answer for the same {evaluation.rows:,} test rows "
        f"(SHA-256 `{evaluation.rows_sha256[:16]}...`). Means over units with 95 % bootstrap intervals over units; "
        f"the headline is {evaluation.headline.name} [{evaluation.headline.unit}].",
        "",
        *table(["contender", *metrics], rows),
        "",
        f"![Headline metric of every contender]({pictures}/evaluate/contenders.png)",
    ]


def slices(evaluation: Evaluation, pictures: str) -> list[str]:
    """Where it is worst."""
    metric = evaluation.headline
    defined = worst_first(evaluation.slices, metric)
    rows = [
        [part.kind, part.name, f"{part.rows:,}", f"{part.scores[metric.name]:.4g}"]
        for kind in ("group", "unit")
        for part in [one for one in defined if one.kind == kind][:WORST_SLICES]
    ]
    undefined = sum(part.kind == "unit" for part in evaluation.slices) - sum(part.kind == "unit" for part in defined)
    return [
        f"The {WORST_SLICES} worst groups and units. {metric.name} is undefined for {undefined} units.",
        "",
        *table(["kind", "name", "rows", metric.name], rows),
        "",
        f"![Headline metric by unit]({pictures}/evaluate/slices.png)",
    ]


def robustness(evaluation: Evaluation) -> list[str]:
    """The headline metric on disturbed telemetry."""
    clean = evaluation.contenders["candidate"][evaluation.headline.name]
    rows = [["undisturbed", str(clean)], *([name, str(score)] for name, score in evaluation.robustness.items())]
    return table(["telemetry", evaluation.headline.name], rows)


def latency(measurement: Measurement, pictures: str) -> list[str]:
    """How long one answer takes [ms]."""
    header = ["contender", "p50 [ms]", "p99 [ms]", "windows/s", "batch"]
    rows = [
        [
            name,
            f"{performance.latency_p50_ms:.3f}",
            f"{performance.latency_p99_ms:.3f}",
            f"{performance.throughput_per_second:,.0f}",
            str(performance.batch),
        ]
        for name, performance in performances(measurement)
    ]
    picture = f"![Distribution of latencies]({pictures}/measure/latency.png)"
    machine = required("measurement.machine", measurement.machine)
    return [f"Measured on {machine}, one thread.", "", *table(header, rows), "", picture]
