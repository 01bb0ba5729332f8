"""Bring everything about a candidate into MLflow: files first, then the version that points to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattline.registry import lookup, statements, store, tracking
from wattline.registry.artifacts import CANDIDATE
from wattline.registry.evidence import Evidence, dirty, energy_text
from wattline.registry.model import Model
from wattline.registry.stored import DECISION, answer

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion


def create(model: Model, evidence: Evidence, *, tags: Mapping[str, str]) -> tuple["ModelVersion", bool]:
    """Upload everything, then create the version that points to it. returns: whether nothing else lies there, too"""
    from mlflow.exceptions import MlflowException

    client, known = model.client, _own_runs(model, evidence)
    run = known[0] if known else tracking.start_run(client, evidence.candidate, tags=tags)
    client.log_artifacts(run.info.run_id, str(evidence.folder))
    if not known:
        client.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/{CANDIDATE}"
    signed = {statements.KEY: model.signer.public.id, **tags}
    try:
        made = client.create_model_version(model.name, source, run.info.run_id, tags=signed)
    except MlflowException as error:
        if not store.is_absent(error):
            raise
        _make_model(model)
        made = client.create_model_version(model.name, source, run.info.run_id, tags=signed)
    return made, not known


def renew(model: Model, version: "ModelVersion", evidence: Evidence, *, tags: Mapping[str, str]) -> "ModelVersion":
    """Upload everything into the run of `version` again."""
    number = str(version.version)
    model.client.log_artifacts(version.run_id, str(evidence.folder))
    for name, value in tags.items():
        model.client.set_model_version_tag(model.name, number, name, value)
    return lookup.number(model, number)


def origin(evidence: Evidence) -> dict[str, str]:
    """Tags of a candidate that was made here."""
    changed = dirty()
    known = "unknown" if changed is None else str(changed).lower()
    return tracking.origin(evidence.candidate) | {statements.DIRTY: known} | figures(evidence)


def figures(evidence: Evidence) -> dict[str, str]:
    """What a reader of the registry wants to know without opening a file, as tags."""
    cost = evidence.measurement
    tags = {
        DECISION: answer(evidence),
        "wattline.weights": evidence.candidate.files.get("weights.safetensors", "none"),
        "wattline.energy_per_1000": energy_text(cost.candidate.energy_per_1000),
        "wattline.latency_p99_ms": f"{cost.candidate.latency_p99_ms:.4g}",
    }
    if cost.training_energy is not None:
        tags["wattline.training_energy"] = energy_text(cost.training_energy)
    if cost.serving is not None:
        tags["wattline.energy_per_1000_requests"] = energy_text(cost.serving.per_1000_requests)
        tags["wattline.energy_per_million_samples"] = energy_text(cost.serving.per_million_samples)
    for verdict in evidence.decision.verdicts:
        tags[f"wattline.gate.{verdict.name}"] = verdict.outcome
    for metric, score in evidence.evaluation.contenders["candidate"].items():
        tags[f"wattline.metric.{metric}"] = f"{score} over {score.units} units"
    return tags


def _own_runs(model: Model, evidence: Evidence) -> list["Run"]:
    """Runs of the candidate that hold no version of another model: its reports and statements would be overwritten."""
    return [
        run
        for run in tracking.runs(model.client, evidence.candidate)
        if all(one.name == model.name for one in model.client.search_model_versions(f"run_id = '{run.info.run_id}'"))
    ]


def _make_model(model: Model) -> None:
    from mlflow.exceptions import MlflowException

    try:
        model.client.create_registered_model(model.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
