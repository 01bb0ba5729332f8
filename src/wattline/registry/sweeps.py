"""A sweep in MLflow: one run for the study, and below it one for each trial."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from wattline.records import Record
from wattline.records.base import Figure
from wattline.registry import batches, store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

STUDY, KEY = "wattline.sweep", "wattline.sweep.key"
"""Tags of a run: the study it belongs to, and which one of it this is."""
PARENT = "mlflow.parentRunId"


class Entry(Record):
    """One run.

    key: which one of the study it is; "" for that of the study itself
    figures: what is known once, by name
    curves: one mapping for each epoch
    status: FINISHED, FAILED, or KILLED for one that was given up early
    started_ms, ended_ms: milliseconds since 1970-01-01 UTC
    """

    key: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    figures: Mapping[str, float]
    curves: Sequence[Mapping[str, Figure]] = ()
    status: Literal["FINISHED", "FAILED", "KILLED"]
    started_ms: int
    ended_ms: int


def send(client: "MlflowClient", *, task: str, study: str, parent: Entry, children: Sequence[Entry]) -> str:
    """Log a study with its trials; what is there already stays single, and what was begun is completed.

    returns: id of the study's run
    Raises what `store.translated` makes a WattlineError of.
    """
    experiment = store.experiment(client, task)
    known = _known(client, experiment, study)
    top = known.get(parent.key) or _begin(client, experiment, study, parent, tags={})
    top_id = str(top.info.run_id)
    for child in children:
        run = known.get(child.key) or _begin(client, experiment, study, child, tags={PARENT: top_id})
        if run.info.status == "RUNNING":
            _log(client, str(run.info.run_id), child)
    for name, value in parent.tags.items():
        client.set_tag(top_id, name, value)  # the best trial may be another one than last time
    _log(client, top_id, parent)
    return top_id


def _known(client: "MlflowClient", experiment: str, study: str) -> "dict[str, Run]":
    """Key -> run of this study; of two that were made at once, the first one."""
    found: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{STUDY}` = '{study}'", order_by=["attributes.start_time ASC"], page_token=token
        )
        for run in page:
            found.setdefault(run.data.tags.get(KEY, ""), run)
        token = page.token
        if not token:
            return found


def _begin(client: "MlflowClient", experiment: str, study: str, entry: Entry, *, tags: Mapping[str, str]) -> "Run":
    return client.create_run(
        experiment,
        start_time=entry.started_ms,
        run_name=entry.name,
        tags={**entry.tags, STUDY: study, KEY: entry.key, **tags},
    )


def _log(client: "MlflowClient", run_id: str, entry: Entry) -> None:
    batches.log(client, run_id, params=entry.params, curves=entry.curves, figures=entry.figures, at_ms=entry.ended_ms)
    client.set_terminated(run_id, entry.status, end_time=entry.ended_ms)
