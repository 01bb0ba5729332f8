"""The model card: everything a person must know before using the model, on one Markdown page.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), with energy added.
"""

import os.path
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wattline.errors import InputError
from wattline.params import CardParams
from wattline.records import (
    Candidate,
    Dataset,
    Decision,
    Description,
    Energy,
    Evaluation,
    Manifest,
    Measurement,
    Performance,
    Signature,
    Validation,
    worst_first,
)

WORST_SLICES = 5


@dataclass(frozen=True)
class Evidence:
    """All records that a card is made from.

    training: the figures of `reports/train.json`
    code_sha256: digest of the platform's and the project's source
    """

    card: CardParams
    description: Description
    dataset: Dataset
    manifest: Manifest
    validation: Validation
    candidate: Candidate
    signature: Signature
    training: Mapping[str, object]
    evaluation: Evaluation
    measurement: Measurement
    decision: Decision
    code_sha256: str
    python: str


def render(evidence: Evidence, *, folder: Path, reports: Path) -> str:
    """The card as Markdown. Raises InputError naming the first required field that is empty.

    folder: where the card will lie, so that pictures in `reports` can be linked relative to it
    """
    pictures = Path(os.path.relpath(reports, folder)).as_posix()
    sections = {
        "Identity": _identity(evidence),
        "Decision": _decision(evidence.decision),
        "Intended use": _use(evidence.description),
        "Data": _data(evidence),
        "Training": _training(evidence, pictures),
        "Evaluation": _evaluation(evidence.evaluation, pictures),
        "Slices": _slices(evidence.evaluation, pictures),
        "Robustness": _robustness(evidence.evaluation),
        "Latency": _latency(evidence.measurement, pictures),
        "Energy": _energy(evidence.measurement),
        "Limits": _limits(evidence.description),
        "Change since the champion": _change(evidence.evaluation),
    }
    text = [f"# {evidence.description.name}", required("description.purpose", evidence.description.purpose)]
    for title, lines in sections.items():
        text += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(text) + "\n"


def required(field: str, value: object) -> str:
    """`value` as text. Raises InputError when there is nothing in it."""
    text = str(value).strip() if value is not None else ""
    if not text or text == "nan":
        raise InputError(f"model card: required field {field} is empty; fill it in before the card is made")
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; a cell is one line whatever is in it."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in line) + " |" for line in lines]


def _fields(values: Mapping[str, object]) -> list[str]:
    return table(["field", "value"], [[name, required(name, value)] for name, value in values.items()])


def _identity(evidence: Evidence) -> list[str]:
    return _fields(
        {
            "model": evidence.candidate.model,
            "candidate digest (SHA-256)": f"`{evidence.candidate.digest}`",
            "parameters": f"{evidence.candidate.parameters:,}",
            "owner": evidence.card.owner,
            "contact": evidence.card.contact,
            "licence": evidence.card.licence,
            "format": "one ONNX graph from raw telemetry to score",
            "code (SHA-256 of sources)": f"`{required('code_sha256', evidence.code_sha256)}`",
            "training params (SHA-256)": f"`{required('params_sha256', evidence.candidate.params_sha256)}`",
            "environment": evidence.python,
        }
    )


def _decision(decision: Decision) -> list[str]:
    rows = [
        [
            verdict.name,
            verdict.outcome + (" (advisory)" if verdict.name in decision.advisory else ""),
            _figure(verdict.value, verdict.unit),
            _figure(verdict.limit, verdict.unit),
            verdict.provenance,
            required(f"decision.{verdict.name}.reason", verdict.reason),
        ]
        for verdict in decision.verdicts
    ]
    required("decision.verdicts", rows or None)
    outcome = "accepted" if decision.accepted else "rejected"
    return [f"The candidate is **{outcome}**.", "", *table(["gate", "", "value", "limit", "provenance", "why"], rows)]


def _use(description: Description) -> list[str]:
    return _fields(
        {
            "intended use": description.intended_use,
            "out of scope": description.out_of_scope,
            "output": description.output,
            "unit of the output": description.output_unit,
        }
    )


def _data(evidence: Evidence) -> list[str]:
    dataset, manifest = evidence.dataset, evidence.manifest
    rows: dict[str, int] = {}
    for part in manifest.parts:
        rows[part.split] = rows.get(part.split, 0) + part.rows
    warnings = evidence.validation.failures("warning")
    fields = {
        "dataset": dataset.name,
        "home of the dataset": dataset.home,
        "dataset id": f"`{dataset.id}`",
        "licence": dataset.licence,
        "citation": dataset.citation,
        "rows": f"{dataset.rows:,} of {len(dataset.units)} units, one every {dataset.cadence_seconds:g} s",
        "span": f"{min(unit.start for unit in dataset.units):%Y-%m-%d} to "
        f"{max(unit.end for unit in dataset.units):%Y-%m-%d} UTC",
        "split by time": ", ".join(f"{split} {count:,}" for split, count in rows.items()) + " rows",
        "validation": f"{evidence.validation.expectations} expectations, "
        f"{len(evidence.validation.failures('critical'))} critical findings, {len(warnings)} warnings",
    }
    notes = [f"- {note}" for note in dataset.notes]
    columns = ", ".join(f"`{column.name}` [{column.unit}]" for column in dataset.columns)
    return [*_fields(fields), "", f"Columns: {columns}.", *([""] if notes else []), *notes]


def _training(evidence: Evidence, pictures: str) -> list[str]:
    final = evidence.training["final"]
    figures = ", ".join(f"{name} {value:.4g}" for name, value in final.items()) if isinstance(final, Mapping) else ""
    fields = {
        "rows of history for one answer": evidence.signature.steps,
        "epochs": evidence.training["epochs"],
        "final figures": figures,
        "parity of graph and trained model": f"{evidence.candidate.parity_max_abs:.1e} at most, "
        f"on {evidence.candidate.parity_windows:,} raw windows",
        "energy": _joules(evidence.measurement.training_energy),
    }
    return [*_fields(fields), "", f"Training curves: [`curves.csv`]({pictures}/train/curves.csv)."]


def _evaluation(evaluation: Evaluation, pictures: str) -> list[str]:
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


def _slices(evaluation: Evaluation, pictures: str) -> list[str]:
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


def _robustness(evaluation: Evaluation) -> list[str]:
    clean = evaluation.contenders["candidate"][evaluation.headline.name]
    rows = [["undisturbed", str(clean)], *([name, str(score)] for name, score in evaluation.robustness.items())]
    return table(["telemetry", evaluation.headline.name], rows)


def _latency(measurement: Measurement, pictures: str) -> list[str]:
    header = ["contender", "p50 [ms]", "p99 [ms]", "windows/s", "batch"]
    rows = [
        [
            name,
            f"{performance.latency_p50_ms:.3f}",
            f"{performance.latency_p99_ms:.3f}",
            f"{performance.throughput_per_second:,.0f}",
            str(performance.batch),
        ]
        for name, performance in _performances(measurement)
    ]
    picture = f"![Distribution of latencies]({pictures}/measure/latency.png)"
    machine = required("measurement.machine", measurement.machine)
    return [f"Measured on {machine}, one thread.", "", *table(header, rows), "", picture]


def _energy(measurement: Measurement) -> list[str]:
    rows = [
        [f"1,000 predictions, {name}", _joules(performance.energy_per_1000)]
        for name, performance in _performances(measurement)
    ]
    rows.append(["training", _joules(measurement.training_energy)])
    energy = measurement.candidate.energy_per_1000
    sensor, boundary = required("energy.sensor", energy.sensor), required("energy.boundary", energy.boundary)
    return [*table(["activity", "energy"], rows), "", f"Sensor: {sensor}. Boundary: {boundary}."]


def _limits(description: Description) -> list[str]:
    return [required("description.limits", description.limits)]


def _change(evaluation: Evaluation) -> list[str]:
    if evaluation.champion.version is None:
        return ["There is no champion yet: this is the first candidate."]
    rows = [[name, str(score)] for name, score in evaluation.versus_champion.items()]
    return [
        f"Paired difference to version {evaluation.champion.version} (`{evaluation.champion.digest}`), same rows:",
        "",
        *table(["metric", "candidate - champion"], rows),
    ]


def _performances(measurement: Measurement) -> Iterator[tuple[str, Performance]]:
    yield "candidate", measurement.candidate
    if measurement.champion is not None:
        yield "champion", measurement.champion


def _joules(energy: Energy | None) -> str:
    if energy is None:
        raise InputError("model card: required field energy is empty; run `dvc repro train` to measure it")
    low, high = energy.interval
    return f"{energy.joules:.3g} J [{low:.3g}, {high:.3g}], {energy.provenance}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.4g}" + ("" if unit == "1" else f" {unit}") if np.isfinite(value) else "-"
