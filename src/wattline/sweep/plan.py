"""What a study is: everything that its trials depend on, written down before the first one runs."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wattline import editing, files, params, splits
from wattline.errors import InputError
from wattline.params import FILE, EnergyParams, Params, SweepParams, TaskParams, typed
from wattline.records import Metric, Record
from wattline.settings import settings
from wattline.sweep import options
from wattline.task import Task, folder_of

HOW_MANY = {"trials", "workers", "at_once", "attempts", "heartbeat_seconds"}
"""What may change while a study goes on: no trial comes out different for it."""


class Plan(Record):
    """One study.

    study: its name, which holds the digest of all that its trials depend on
    task: with its folder as an absolute path
    train: options that every trial starts from
    prepared_sha256: of the manifest of the prepared rows
    code_sha256: of the sources of the task
    checkpoint_minutes: between two checkpoints of a trial [min]
    """

    study: str
    task: TaskParams
    seed: int
    train: Mapping[str, Any]
    sweep: SweepParams
    energy: EnergyParams
    data: str
    prepared_sha256: str
    code_sha256: str
    checkpoint_minutes: float

    @property
    def folder(self) -> Path:
        return folder() / self.study

    @property
    def view(self) -> Path:
        """What trials see of the project: the prepared rows without the test part."""
        return self.folder / "view"

    @property
    def defaults(self) -> dict[str, Any]:
        """Values of the first trial, by dotted key."""
        return {key: options.value_at(self.train, key) for key in self.sweep.space}


def folder() -> Path:
    """Where all studies lie, as an absolute path: trials run elsewhere."""
    return settings().state.resolve() / "sweep"


def make(loaded: Params, task: Task) -> Plan:
    """The plan of the sweep in params.yaml. Raises InputError naming the key that cannot be swept, and why."""
    sweep = loaded.block.sweep
    where = f"{FILE}: {loaded.task.name}.sweep"
    if sweep is None:
        raise InputError(f"{where} is missing; add trials and a space (docs/params.md lists every key)")
    options.check_fixed(sweep.options, sweep.space, where=where)
    merged = editing.merged(loaded.block.train, sweep.options)
    train = typed(task.options, merged, where=f"{where}.options").model_dump(mode="json")
    options.check(sweep.space, train, task, where=f"{where}.space")
    manifest = splits.read_manifest()
    _check_objective(sweep, task, where=where)
    shared = {
        "task": loaded.task.model_copy(update={"folder": str(folder_of(task).resolve())}),
        "seed": loaded.seed,
        "train": train,
        "sweep": sweep,
        "energy": loaded.block.energy,
        "data": manifest.data,
        "prepared_sha256": files.sha256(files.PREPARED / splits.MANIFEST),
        "code_sha256": files.sources_digest(folder_of(task)),
        "checkpoint_minutes": loaded.hpc.checkpoint_minutes,
    }
    draft = Plan(study="", **shared)
    return draft.model_copy(update={"study": f"{loaded.task.name}-{_digest(draft)}"})


def write(plan: Plan) -> None:
    """Keep the plan, and give its trials rows without a test part."""
    if not (plan.view / files.PREPARED / splits.MANIFEST).is_file():
        with files.replace_directory(plan.view) as fresh:
            prepared = fresh / files.PREPARED
            for part in ("train", "validation"):
                shutil.copytree(files.PREPARED / part, prepared / part, copy_function=files.link)
            for name in (splits.MANIFEST, splits.CONSTANTS):
                files.link(files.PREPARED / name, prepared / name)
    if files.sha256(plan.view / files.PREPARED / splits.MANIFEST) != plan.prepared_sha256:
        raise InputError(f"{files.PREPARED} was written anew while the sweep was planned; run it again")
    files.write_text(plan.folder / "plan.json", plan.to_json())


def read(study: str) -> tuple[Plan, Task]:
    """A plan with its task. Raises InputError where there is none, or the task's code is another one by now."""
    path = folder() / study / "plan.json"
    if not path.is_file():
        raise InputError(f"there is no study {study!r} in {folder()}; `wattline sweep` begins one")
    plan = files.read_record(path, Plan)
    task = params.load_task(plan.task)
    if files.sources_digest(folder_of(task)) != plan.code_sha256:
        raise InputError(
            f"{plan.task.folder} was changed since the study {study} began, so that its trials could not be compared; "
            "run `wattline sweep`, which begins another one"
        )
    return plan, task


def metric_of(name: str, task: Task) -> Metric | None:
    """The metric of the task that is called so; None where the objective is a figure of the curves."""
    return next((metric for metric in task.description.metrics if metric.name == name), None)


def higher_is_better(plan: Plan, task: Task) -> bool:
    metric = metric_of(plan.sweep.objective, task)
    return metric.higher_is_better if metric else plan.sweep.better == "higher"


def _check_objective(sweep: SweepParams, task: Task, *, where: str) -> None:
    """Raise InputError for a metric that cannot be computed on the validation part, or not be pruned by."""
    if metric_of(sweep.objective, task) is None:
        return
    if sweep.pruner.kind != "none":
        raise InputError(
            f"{where}.pruner.kind is {sweep.pruner.kind}, but the metric {sweep.objective} is known only when a trial "
            "is done; set it to none, or choose a figure of the training curves as objective"
        )
    validation = splits.read_split("validation")
    if not any(np.isfinite(series.target).any() for series in validation.values()):
        raise InputError(
            f"{where}.objective is {sweep.objective}, but no row of the validation part is labelled; choose a figure "
            "of the training curves, e.g. validation_loss"
        )


def _digest(plan: Plan) -> str:
    said = plan.model_dump(
        mode="json", exclude={"study": True, "energy": True, "checkpoint_minutes": True, "sweep": HOW_MANY}
    )
    said["task"] = plan.task.name
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
