"""Params and metrics of a run, in as many calls as a tracking server wants them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

# What a tracking server takes in one call.
METRICS_IN_BATCH = 1000
PARAMS_IN_BATCH = 100


def log(
    client: "MlflowClient",
    run_id: str,
    *,
    params: Mapping[str, str],
    curves: Sequence[Mapping[str, float]],
    figures: Mapping[str, float],
    at_ms: int,
) -> None:
    """Write all of it to a run. What it holds already stays single: MLflow keeps one of two equal points.

    curves: one mapping for each epoch, logged by step
    figures: what is known only once
    at_ms: of every figure, milliseconds since 1970-01-01 UTC
    """
    from mlflow.entities import Metric, Param

    rows = [Param(name, value) for name, value in params.items()]
    metrics = [Metric(name, value, at_ms, step) for step, known in enumerate(curves) for name, value in known.items()]
    metrics += [Metric(name, value, at_ms, 0) for name, value in figures.items()]
    for at in range(0, len(rows), PARAMS_IN_BATCH):
        client.log_batch(run_id, params=rows[at : at + PARAMS_IN_BATCH])
    for at in range(0, len(metrics), METRICS_IN_BATCH):
        client.log_batch(run_id, metrics=metrics[at : at + METRICS_IN_BATCH])
