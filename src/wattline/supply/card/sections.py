"""Sections of the card about what the model is: identity, decision, use, data, training, limits and change."""

import math
from collections.abc import Mapping

from wattline.records import Decision, Description, Evaluation
from wattline.supply.card.energy import kilowatt_hours
from wattline.supply.card.evidence import Evidence
from wattline.supply.card.markdown import fields, required, table


def identity(evidence: Evidence) -> list[str]:
    """Which bytes these are, and who answers for them."""
    return fields(
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


def decision(decision: Decision) -> list[str]:
    """What each gate said."""
    rows = [
        [
            verdict.name,
            verdict.outcome + (" (advisory)" if verdict.name in decision.advisory else ""),
            figure(verdict.value, verdict.unit),
            figure(verdict.limit, verdict.unit),
            verdict.provenance,
            required(f"decision.{verdict.name}.reason", verdict.reason),
        ]
        for verdict in decision.verdicts
    ]
    required("decision.verdicts", rows or None)
    outcome = "accepted" if decision.accepted else "rejected"
    return [f"The candidate is **{outcome}**.", "", *table(["gate", "", "value", "limit", "provenance", "why"], rows)]


def use(description: Description) -> list[str]:
    """What it is for, and what not."""
    return fields(
        {
            "intended use": description.intended_use,
            "out of scope": description.out_of_scope,
            "output": description.output,
            "unit of the output": description.output_unit,
        }
    )


def data(evidence: Evidence, dataset_card: str, pictures: str) -> list[str]:
    """The rows it was trained and judged on.

    dataset_card, pictures: where that card and the folder of reports lie, relative to this one
    """
    dataset, manifest = evidence.dataset, evidence.manifest
    rows: dict[str, int] = {}
    for part in manifest.parts:
        rows[part.split] = rows.get(part.split, 0) + part.rows
    warnings = evidence.validation.failures("warning")
    values = {
        "dataset": dataset.name,
        "home of the dataset": dataset.home,
        "dataset id": f"`{dataset.id}`",
        "dataset card": f"[Croissant 1.1, with the digest of every file]({dataset_card})",
        "licence": dataset.licence,
        "citation": dataset.citation,
        "rows": f"{dataset.rows:,} of {len(dataset.units)} units, one every {dataset.cadence_seconds:g} s",
        "span": f"{min(unit.start for unit in dataset.units):%Y-%m-%d} to "
        f"{max(unit.end for unit in dataset.units):%Y-%m-%d} UTC",
        "split by time": ", ".join(f"{split} {count:,}" for split, count in rows.items()) + " rows",
        "validation": f"{evidence.validation.expectations} expectations, "
        f"{len(evidence.validation.failures('critical'))} critical findings, {len(warnings)} warnings, "
        f"{evidence.validation.quarantined:,} rows in quarantine ([data docs]({pictures}/validate/index.html))",
    }
    notes = [f"- {note}" for note in dataset.notes]
    columns = ", ".join(f"`{column.name}` [{column.unit}]" for column in dataset.columns)
    return [*fields(values), "", f"Columns: {columns}.", *([""] if notes else []), *notes]


def training(evidence: Evidence, pictures: str) -> list[str]:
    """How it was trained, and what that took [kWh]."""
    final = evidence.training["final"]
    figures = ", ".join(f"{name} {value:.4g}" for name, value in final.items()) if isinstance(final, Mapping) else ""
    values = {
        "rows of history for one answer": evidence.signature.steps,
        "epochs": evidence.training["epochs"],
        "final figures": figures,
        "parity of graph and trained model": f"{evidence.candidate.parity_max_abs:.1e} at most, "
        f"on {evidence.candidate.parity_windows:,} raw windows",
        "energy": kilowatt_hours(evidence.measurement.training_energy),
    }
    return [*fields(values), "", f"Training curves: [`curves.csv`]({pictures}/train/curves.csv)."]


def limits(description: Description) -> list[str]:
    """What it cannot do."""
    return [required("description.limits", description.limits)]


def change(evaluation: Evaluation) -> list[str]:
    """Paired difference to the champion on the same rows."""
    if evaluation.champion.version is None:
        return ["There is no champion yet: this is the first candidate."]
    rows = [[name, str(score)] for name, score in evaluation.versus_champion.items()]
    return [
        f"Paired difference to version {evaluation.champion.version} (`{evaluation.champion.digest}`), same rows:",
        "",
        *table(["metric", "candidate - champion"], rows),
    ]


def figure(value: float, unit: str) -> str:
    """A figure with its unit; a dash where it is undefined."""
    return f"{value:.4g}" + ("" if unit == "1" else f" {unit}") if math.isfinite(value) else "-"
