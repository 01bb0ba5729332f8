"""One MLflow run for each training: what was trained, from which data and commit, how it went and what it took."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files
from wattline.records import Candidate, Energy
from wattline.registry import store
from wattline.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

LOCK = Path("dvc.lock")
DIGEST = "wattline.candidate"
# What a tracking server takes in one call.
METRICS_IN_BATCH = 1000
PARAMS_IN_BATCH = 100


def log_training(
    candidate: Candidate,
    *,
    params: Mapping[str, str | float | int],
    curves: Sequence[Mapping[str, float]],
    energy: Energy | None = None,
) -> str:
    """Log a training as a run of the experiment named after its task; one that was logged before is reused.

    curves: one mapping for each epoch, logged by step
    energy: what the training took
    returns: the run's id
    Raises WattlineError when the tracking store cannot be reached.
    """
    written = {name: str(value) for name, value in params.items()}
    with store.session() as client:
        for run in runs(client, candidate):
            if run.info.status == "FINISHED" and run.data.params == written:
                return str(run.info.run_id)
        return _log(client, candidate, params=written, metrics=_metrics(candidate, curves, energy), energy=energy)


def runs(client: "MlflowClient", candidate: Candidate) -> list["Run"]:
    """Every run of `candidate`, newest first."""
    wanted = f"tags.`{DIGEST}` = '{candidate.digest}'"
    return list(client.search_runs([store.experiment(client, candidate.task)], wanted))


def start_run(client: "MlflowClient", candidate: Candidate) -> "Run":
    """Make a run with the tags that name its origin."""
    return client.create_run(
        store.experiment(client, candidate.task),
        run_name=f"{candidate.model}-{candidate.digest[:8]}",
        tags=origin(candidate),
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
    """The commit that is checked out here; "unknown" outside a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def _log(
    client: "MlflowClient",
    candidate: Candidate,
    *,
    params: Mapping[str, str],
    metrics: Sequence["Metric"],
    energy: Energy | None,
) -> str:
    from mlflow.entities import Param

    run_id = str(start_run(client, candidate).info.run_id)
    rows = [Param(name, value) for name, value in params.items()]
    status = "FAILED"
    try:
        for at in range(0, len(rows), PARAMS_IN_BATCH):
            client.log_batch(run_id, params=rows[at : at + PARAMS_IN_BATCH])
        for at in range(0, len(metrics), METRICS_IN_BATCH):
            client.log_batch(run_id, metrics=metrics[at : at + METRICS_IN_BATCH])
        if energy is not None:
            client.set_tag(run_id, "wattline.training_energy", f"{energy.provenance}: {energy.sensor}")
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id


def _metrics(candidate: Candidate, curves: Sequence[Mapping[str, float]], energy: Energy | None) -> list["Metric"]:
    """Figures of the curves by step, and what is known only once."""
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    once = {"parameters": float(candidate.parameters), "parity_max_abs": candidate.parity_max_abs}
    if energy is not None:
        once |= {"training_energy_joules": energy.joules, "training_seconds": energy.seconds}
    stepped = [
        Metric(name, float(value), now, step) for step, figures in enumerate(curves) for name, value in figures.items()
    ]
    return stepped + [Metric(name, value, now, 0) for name, value in once.items()]
