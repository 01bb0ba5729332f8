"""A folder for each model, in which stages run as they do in the project and touch nothing of it."""

import copy
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wattline
from wattline import editing, files, splits
from wattline.bakeoff.plan import Model
from wattline.bakeoff.record import Inputs
from wattline.errors import InputError, WattlineError
from wattline.params import FILE, Params
from wattline.reproduction.commands import UNSET
from wattline.settings import settings


@dataclass(frozen=True)
class Workspace:
    """Where one model is trained and scored: a project with prepared rows, and without champion or registry.

    root: its folder; the state of what runs there, checkpoints for one, lies below it
    """

    root: Path

    @property
    def candidate(self) -> Path:
        return self.root / files.CANDIDATE

    def report(self, stage: str) -> Path:
        return self.root / files.report_path(stage)

    def command(self, stage: str) -> list[str]:
        """The command that runs a stage there: with the modules that are seen here, and a training that is not sent."""
        platform = str(Path(wattline.__file__).parents[1])
        modules = dict.fromkeys(str(Path(place).resolve()) for place in [platform, *sys.path])
        variables = {
            "PYTHONPATH": os.pathsep.join(modules),
            "WATTLINE_STATE": str(self.root / ".wattline"),
            "WATTLINE_OFFLINE": "1",
        }
        unset = [word for name in UNSET for word in ("-u", name)]
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return ["env", *unset, *assignments, sys.executable, "-m", "wattline", "run", stage]


def folder() -> Path:
    """Where all workspaces lie."""
    return settings().state / "bakeoff"


@contextmanager
def held() -> Iterator[int]:
    """Keep other bake-offs out, and give the descriptor of the lock: a stage that inherits it holds it, too.

    Raises WattlineError where another one is at work, or a stage that one left behind when it was killed.
    """
    refusal = WattlineError(
        f"another bake-off, or a stage that it left behind, is at work in {folder()}; wait for it or end it"
    )
    with files.held(folder() / "lock", refusal=refusal) as lock:
        yield lock


def make(model: Model, loaded: Params, shared: Inputs, *, tree: Any) -> Workspace:
    """The workspace of a model: what an earlier, equal one left there stays.

    tree: params.yaml as `editing.read` gave it
    Raises InputError when the prepared rows are no longer those that the bake-off began with.
    """
    place = Workspace((folder() / f"{model.name}-{model.identity[:16]}").resolve())
    own = copy.deepcopy(tree)
    editing.update(own[loaded.task.name]["train"], model.options)
    own["task"]["folder"] = str(Path(loaded.task.folder).resolve())
    files.write_text(place.root / FILE, editing.text(own))
    _bring(files.PREPARED, place.root / files.PREPARED, shared)
    return place


def _bring(source: Path, target: Path, shared: Inputs) -> None:
    """Link the prepared rows, so that a `dvc repro` in the meantime replaces the project's and not these."""
    if not (target / splits.MANIFEST).is_file():
        with files.replace_directory(target) as fresh:
            shutil.copytree(source, fresh, copy_function=files.link, dirs_exist_ok=True)
    if files.sha256(target / splits.MANIFEST) != shared.prepared_sha256:
        raise InputError(f"{source} was written anew while the bake-off ran; run it again")
