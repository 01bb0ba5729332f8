"""The figures of a run as families of OpenMetrics, each with its unit and its provenance."""

from collections.abc import Iterator, Mapping

from wattline.gitlab.reports.left import Left
from wattline.gitlab.reports.openmetrics import Family, Sample
from wattline.records import Decision, Energy, Evaluation, Measurement, Performance, TrainingEnergy, Validation

MILLISECONDS = 1e-3


def families(left: Left) -> Iterator[Family]:
    """Everything that is known of this run; what an earlier run left is no figure of this one."""
    yield Family(
        "wattline_report_current",
        "Whether the report of a stage is of this run (1) or missing, unreadable or of an earlier one (0)",
        tuple(Sample(float(not one.problem), {"report": one.name}) for one in left.reports),
    )
    if (decision := left.current("decide", Decision)) is not None:
        yield from _decision(decision)
    if (evaluation := left.current("evaluate", Evaluation)) is not None:
        yield from _scores(evaluation)
    if (measurement := left.current("measure", Measurement)) is not None:
        yield from _costs(measurement)
    if (training := left.current("train_energy", TrainingEnergy)) is not None:
        yield from _training(training)
    if (validation := left.current("validate", Validation)) is not None:
        yield from _rows(validation)


def _decision(decision: Decision) -> Iterator[Family]:
    yield Family(
        "wattline_candidate_info",
        "What the figures are about: digests of the candidate and of its rows",
        (Sample(1.0, {"candidate": decision.candidate, "data": decision.data}),),
    )
    accepted = Sample(float(decision.accepted))
    yield Family("wattline_accepted", "Whether every gate that counts passed", (accepted,))
    outcomes = tuple(
        Sample(
            float(verdict.outcome == "PASS"),
            {"gate": verdict.name, "advisory": _yes(verdict.name in decision.advisory)},
        )
        for verdict in decision.verdicts
    )
    yield Family("wattline_gate_passed", "Whether a gate passed; a refusal does not", outcomes)
    for name in ("value", "limit"):
        samples = tuple(
            Sample(
                getattr(verdict, name), {"gate": verdict.name, "unit": verdict.unit, "provenance": verdict.provenance}
            )
            for verdict in decision.verdicts
        )
        yield Family(f"wattline_gate_{name}", f"The {name} of a gate, in the unit of its label", samples)


def _scores(evaluation: Evaluation) -> Iterator[Family]:
    yield Family(
        "wattline_score",
        f"Scores on the test rows and bounds of their 95 % intervals; the headline is {evaluation.headline.name}, in "
        f"{evaluation.headline.unit}",
        tuple(
            Sample(getattr(score, bound), {"contender": contender, "metric": metric, "bound": bound})
            for contender, scores in evaluation.contenders.items()
            for metric, score in scores.items()
            for bound in ("value", "low", "high")
        ),
    )
    rows = Sample(float(evaluation.rows))
    yield Family("wattline_test_rows", "Rows that contenders were scored on", (rows,), unit="rows")


def _costs(measurement: Measurement) -> Iterator[Family]:
    contenders = {"candidate": measurement.candidate}
    if measurement.champion is not None:
        contenders["champion"] = measurement.champion
    yield Family(
        "wattline_latency_seconds",
        "Time to answer one window with one thread, measured",
        tuple(
            Sample(value * MILLISECONDS, {"contender": name, "quantile": quantile})
            for name, one in contenders.items()
            for quantile, value in (("0.5", one.latency_p50_ms), ("0.99", one.latency_p99_ms))
        ),
        unit="seconds",
    )
    yield Family(
        "wattline_throughput_windows_per_second",
        "Windows answered in a second, in batches of the label, measured",
        tuple(
            Sample(one.throughput_per_second, {"contender": name, "batch": str(one.batch)})
            for name, one in contenders.items()
        ),
        unit="windows_per_second",
    )
    yield from _inference(contenders, measurement.baselines)
    yield from _serving(measurement)
    yield Family(
        "wattline_emissions_grams",
        "Emissions by the site's own figure for its electricity (gCO2e)",
        tuple(
            Sample(one.total_grams, {"per": one.unit, "provenance": one.provenance}) for one in measurement.emissions
        ),
        unit="grams",
    )


def _inference(contenders: Mapping[str, Performance], baselines: Mapping[str, Energy]) -> Iterator[Family]:
    energies = {name: one.energy_per_1000 for name, one in contenders.items()} | dict(baselines)
    yield Family(
        "wattline_inference_energy_joules",
        "Energy of 1000 predictions and bounds of its 95 % interval; the label says whether it was measured or estimated",
        tuple(
            Sample(value, {"contender": name, "per": "1000_predictions", "bound": bound, "provenance": one.provenance})
            for name, one in energies.items()
            for bound, value in _bounds(one).items()
        ),
        unit="joules",
    )


def _serving(measurement: Measurement) -> Iterator[Family]:
    if measurement.serving is None:
        return
    said = {"1000_requests": measurement.serving.per_1000_requests}
    said["million_samples"] = measurement.serving.per_million_samples
    yield Family(
        "wattline_serving_energy_joules",
        "Energy of the real server, over HTTP",
        tuple(Sample(one.joules, {"per": per, "provenance": one.provenance}) for per, one in said.items()),
        unit="joules",
    )


def _training(training: TrainingEnergy) -> Iterator[Family]:
    yield Family(
        "wattline_training_energy_joules",
        "Energy of the whole training, lost attempts included, and bounds of its 95 % interval",
        tuple(
            Sample(value, {"bound": bound, "provenance": training.total.provenance})
            for bound, value in _bounds(training.total).items()
        ),
        unit="joules",
    )
    launches = Sample(float(training.launches))
    yield Family("wattline_training_launches", "How often the training was begun", (launches,))


def _rows(validation: Validation) -> Iterator[Family]:
    rows = Sample(float(validation.rows))
    yield Family("wattline_dataset_rows", "Rows of the dataset", (rows,), unit="rows")
    findings = tuple(
        Sample(float(len(validation.failures(severity))), {"severity": severity})
        for severity in ("critical", "warning")
    )
    yield Family("wattline_findings", "Expectations that rows do not meet", findings)


def _bounds(energy: Energy) -> dict[str, float]:
    return {"value": energy.joules, "low": energy.interval[0], "high": energy.interval[1]}


def _yes(said: bool) -> str:
    return "yes" if said else "no"
