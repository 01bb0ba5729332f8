"""Who takes part: every model of the section `bakeoff` with its resolved options, checked before anything runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wattline
from wattline import editing, environment, files, splits
from wattline.bakeoff.record import Inputs
from wattline.errors import InputError
from wattline.params import FILE, BakeoffParams, Params, typed
from wattline.task import Task, folder_of


@dataclass(frozen=True)
class Model:
    """One model that is to be trained.

    overrides: what differs from the section `train`
    options: the whole section `train` of this model
    identity: of all that its training depends on
    """

    name: str
    overrides: Mapping[str, Any]
    options: Mapping[str, Any]
    identity: str


def section(loaded: Params) -> BakeoffParams:
    """The section `bakeoff`. Raises InputError where there is none."""
    if loaded.block.bakeoff is None:
        raise InputError(f"{FILE}: {loaded.task.name}.bakeoff is missing; add models and a rule (docs/bakeoff.md)")
    return loaded.block.bakeoff


def inputs(task: Task) -> Inputs:
    """What all models have in common. Raises InputError where no rows are prepared."""
    manifest = splits.read_manifest()
    return Inputs(
        data=manifest.data,
        prepared_sha256=files.sha256(files.PREPARED / splits.MANIFEST),
        rows_sha256=None,
        code_sha256=files.sources_digest(Path(wattline.__file__).parent, folder_of(task)),
    )


def models(loaded: Params, task: Task, shared: Inputs) -> tuple[Model, ...]:
    """Every model, in the order of params.yaml.

    Raises InputError naming an option that the task does not know, or two models that are the same.
    """
    found: dict[str, Model] = {}
    place = f"{FILE}: {loaded.task.name}.bakeoff.models"
    for name, overrides in section(loaded).models.items():
        options = editing.merged(loaded.block.train, overrides)
        checked = typed(task.options, options, where=f"{place}.{name}")
        identity = _identity(checked.model_dump(mode="json"), loaded, shared)
        for other in found.values():
            if other.identity == identity:
                raise InputError(f"{place}: {other.name} and {name} have the same options; remove one")
        found[name] = Model(name=name, overrides=overrides, options=options, identity=identity)
    return tuple(found.values())


def _identity(options: Mapping[str, Any], loaded: Params, shared: Inputs) -> str:
    here = environment.current()
    parts = {
        "task": loaded.task.name,
        "options": options,
        "seed": loaded.seed,
        "inputs": shared.model_dump(mode="json"),
        "python": here.python,
        "lock": here.lock_sha256,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
