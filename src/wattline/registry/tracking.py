"""One MLflow run for each training: what was trained, from which data and commit, how it went and what it took."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files
from wattline.records import Candidate, TrainingEnergy
from wattline.registry import batches, spooled, store
from wattline.registry.spooled import Training
from wattline.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCK = Path("dvc.lock")
UNKNOWN = "unknown"
DIGEST = "wattline.candidate"
RECORD = "wattline.training"
"""Tag of a run: digest of the training it holds."""


def log_training(
    candidate: Candidate,
    *,
    params: Mapping[str, str | float | int],
    curves: Sequence[Mapping[str, float]],
    energy: TrainingEnergy | None = None,
) -> str:
    """Log a training as a run of the experiment named after its task; one that was logged before is reused.

    With WATTLINE_OFFLINE it is kept as a file instead, which `wattline sync` sends, and nothing of MLflow is imported.

    curves: one mapping for each epoch, logged by step
    energy: what the training took, lost attempts included; it began so many seconds before now
    returns: the run's id, or the path of the file
    Raises WattlineError when the tracking store cannot be reached.
    """
    now = time.time_ns() // 1_000_000
    training = Training(
        candidate=candidate,
        params={name: str(value) for name, value in params.items()},
        curves=tuple({name: float(value) for name, value in figures.items()} for figures in curves),
        energy=energy,
        tags=origin(candidate) | _energy_tag(energy),
        started_ms=now - round(1000 * energy.total.seconds) if energy else now,
        ended_ms=now,
    )
    if settings().offline:
        return str(spooled.keep(training))
    with store.session() as client:
        return send(client, training)


def send(client: "MlflowClient", training: Training) -> str:
    """Log `training` unless that was done, and leave no run half written by an earlier attempt. Gives the run's id."""
    known = runs(client, training.candidate)
    begun = next((run for run in known if run.data.tags.get(RECORD) == training.digest), None)
    for run in known:
        if run.info.status == "FINISHED" and (run is begun or run.data.params == training.params):
            if begun is not None and run is not begun:
                client.delete_run(begun.info.run_id)
            return str(run.info.run_id)
    return _log(client, training, run=begun or _begin(client, training))


def runs(client: "MlflowClient", candidate: Candidate) -> list["Run"]:
    """Every run of `candidate`, newest first."""
    wanted = f"tags.`{DIGEST}` = '{candidate.digest}'"
    return list(client.search_runs([store.experiment(client, candidate.task)], wanted))


def start_run(client: "MlflowClient", candidate: Candidate, *, tags: Mapping[str, str]) -> "Run":
    """Make a run with `tags`, which name its origin."""
    return client.create_run(
        store.experiment(client, candidate.task),
        run_name=_run_name(candidate),
        tags=dict(tags),
    )


def origin(candidate: Candidate) -> dict[str, str]:
    """Tags that say where a candidate comes from: content, data, commit, pipeline."""
    revision = commit()
    tags = {
        DIGEST: candidate.digest,
        "wattline.data": candidate.data,
        "wattline.dataset": candidate.dataset,
        "wattline.model": candidate.model,
        "wattline.params": candidate.params_sha256,
        "wattline.commit": revision,
        "mlflow.source.git.commit": revision,
    }
    if LOCK.is_file():
        tags["wattline.lock"] = files.sha256(LOCK)
    if settings().ci_job_url:
        tags["wattline.job"] = str(settings().ci_job_url)
    return tags


def commit() -> str:
    """The commit that is checked out here; "unknown" outside a repository.

    An image for training has no git: there, who submitted the job has said it.
    """
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return settings().commit or UNKNOWN
    return found.stdout.strip() if found.returncode == 0 else settings().commit or UNKNOWN


def _begin(client: "MlflowClient", training: Training) -> "Run":
    return client.create_run(
        store.experiment(client, training.candidate.task),
        start_time=training.started_ms,
        run_name=_run_name(training.candidate),
        tags={**training.tags, RECORD: training.digest},
    )


def _log(client: "MlflowClient", training: Training, *, run: "Run") -> str:
    """Write everything to `run`."""
    run_id = str(run.info.run_id)
    status = "FAILED"
    try:
        batches.log(
            client,
            run_id,
            params=training.params,
            curves=training.curves,
            figures=_figures(training),
            at_ms=training.ended_ms,
        )
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status, end_time=training.ended_ms)
    return run_id


def _figures(training: Training) -> dict[str, float]:
    """What is known only once."""
    candidate, energy = training.candidate, training.spent
    once = {"parameters": float(candidate.parameters), "parity_max_abs": candidate.parity_max_abs}
    if energy is not None:
        once |= {
            "training_energy_joules": energy.joules,
            "training_energy_kwh": energy.kwh,
            "training_seconds": energy.seconds,
        }
    if isinstance(training.energy, TrainingEnergy):
        once["training_attempts"] = float(training.energy.launches)
    return once


def _energy_tag(energy: TrainingEnergy | None) -> dict[str, str]:
    if energy is None:
        return {}
    ran_on = {f"wattline.ran_on.{name}": value for name, value in energy.ran_on.items()}
    return {"wattline.training_energy": f"{energy.total.provenance}: {energy.total.sensor}"} | ran_on


def _run_name(candidate: Candidate) -> str:
    return f"{candidate.model}-{candidate.digest[:8]}"
