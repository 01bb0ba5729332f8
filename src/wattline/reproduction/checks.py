"""Whether a version can be reproduced at all: refusals before anything is made."""

import re
from pathlib import Path
from typing import Any

import yaml

from wattline.errors import InputError
from wattline.reproduction import pipeline
from wattline.reproduction.commands import git
from wattline.reproduction.magnitude import json_differences
from wattline.reproduction.pipeline import Stage
from wattline.reproduction.recipe import Recipe


def check(recipe: Recipe) -> tuple[Stage, ...]:
    """The pipeline to run. Raises InputError naming what stands against reproducing `recipe`, and what helps."""
    _check_sources(recipe)
    _check_params(recipe, _file(recipe, "params.yaml"))
    return pipeline.read(lock=recipe.lock, wiring=_file(recipe, "dvc.yaml"), params=recipe.params)


def _check_sources(recipe: Recipe) -> None:
    if git("rev-parse", "--git-dir", folder=Path.cwd()).returncode:
        raise InputError(f"{Path.cwd()} is in no git repository; run this in a clone of the project of {recipe}")
    if not re.fullmatch(r"[0-9a-f]{7,64}", recipe.commit):
        raise InputError(
            f"{recipe} has the commit {recipe.commit!r}: it was registered outside of a git repository and cannot be "
            "reproduced; register it from a clone"
        )
    if git("cat-file", "-e", f"{recipe.commit}^{{commit}}", folder=Path.cwd()).returncode:
        raise InputError(
            f"commit {recipe.commit} of {recipe} is not in this repository; run `git fetch` "
            "(`git fetch --unshallow` in a shallow clone)"
        )
    if recipe.dirty:
        raise InputError(
            f"{recipe} is dirty: sources differed from commit {recipe.commit[:12]} and were never committed, so it "
            "cannot be reproduced; commit, run `dvc repro` and register again"
        )


def _file(recipe: Recipe, name: str) -> str:
    """A file of the commit, from the project's folder."""
    shown = git("show", f"{recipe.commit}:./{name}", folder=Path.cwd())
    if shown.returncode:
        raise InputError(f"commit {recipe.commit[:12]} of {recipe} has no {name} in this folder; run this in its root")
    return shown.stdout


def _check_params(recipe: Recipe, committed: str) -> None:
    """Comments and white space may differ: no stage reads them."""
    differences = list(json_differences(_values(recipe.params, "as registered"), _values(committed, "of the commit")))
    if differences:
        key, registered, found = differences[0]
        raise InputError(
            f"params.yaml of commit {recipe.commit[:12]} has {key} = {found}, registered with {recipe} was "
            f"{registered}; this version was not made from this commit"
        )


def _values(text: str, which: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"params.yaml {which} is not valid YAML: {' '.join(str(error).split())}") from None
