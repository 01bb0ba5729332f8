"""The pipeline of a version: its dvc.lock as registered, read together with the dvc.yaml of its commit."""

import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from wattline.errors import InputError
from wattline.records import Record


class Output(Record):
    """One output of a stage.

    md5: as in dvc.lock; that of a folder ends in ".dir"
    measured: timings and joules or what quotes them, as dvc.yaml says in `meta`
    """

    path: str
    md5: str
    measured: bool


class Stage(Record):
    """One stage as it was run for the version."""

    name: str
    dependencies: tuple[str, ...]
    outputs: tuple[Output, ...]


class _Entry(BaseModel):
    path: str
    md5: str = ""


class _Locked(BaseModel):
    cmd: str | list[str]
    deps: list[_Entry] = []
    outs: list[_Entry] = []


class _Lock(BaseModel):
    stages: Mapping[str, _Locked]


def read(*, lock: str, wiring: str, params: str) -> tuple[Stage, ...]:
    """The stages of `lock` in the order of the pipeline.

    wiring, params: text of dvc.yaml and params.yaml
    Raises InputError when lock and wiring are not of one pipeline, naming the first thing that differs.
    """
    locked = _lock(lock).stages
    wired = dict(_wired(wiring, params))
    _check_same(set(locked), set(wired), what="stages")
    stages = {}
    for name, entry in locked.items():
        command, dependencies, measured = wired[name]
        if entry.cmd != command:
            raise InputError(f"dvc.yaml of the commit runs {command!r} as {name}, registered was {entry.cmd!r}")
        _check_same({one.path for one in entry.deps}, dependencies, what=f"dependencies of {name}")
        _check_same({one.path for one in entry.outs}, set(measured), what=f"outputs of {name}")
        outputs = (Output(path=one.path, md5=one.md5, measured=measured[one.path]) for one in entry.outs)
        stages[name] = Stage(name=name, dependencies=tuple(sorted(dependencies)), outputs=tuple(outputs))
    return tuple(stages[name] for name in _ordered(stages))


def maker(stages: tuple[Stage, ...], path: str) -> tuple[Stage, Output]:
    """The stage that writes `path`, with that output. Raises InputError when none does."""
    for stage in stages:
        for output in stage.outputs:
            if output.path == path:
                return stage, output
    raise InputError(f"dvc.lock of the version names no output {path}; it was not written by this pipeline")


def _lock(text: str) -> _Lock:
    try:
        return _Lock.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"dvc.lock as registered cannot be read: {reason}") from None


def _wired(wiring: str, params: str) -> Iterator[tuple[str, tuple[Any, set[str], dict[str, bool]]]]:
    """Stage -> its command, its dependencies, and path -> "is measured" of its outputs."""
    values = yaml.safe_load(params)
    for name, stage in yaml.safe_load(wiring)["stages"].items():
        entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
        flags = dict(next(iter(entry.items())) if isinstance(entry, dict) else (entry, {}) for entry in entries)
        measured = {
            _filled(path, values): bool((options.get("meta") or {}).get("measured")) for path, options in flags.items()
        }
        dependencies = {_filled(path, values) for path in stage.get("deps", [])}
        yield name, (stage.get("cmd"), dependencies, measured)


def _filled(text: str, values: Any) -> str:
    """`text` with each ${dotted.name} replaced by its value in params.yaml."""

    def value(found: "re.Match[str]") -> str:
        node = values
        for key in found.group(1).split("."):
            node = node[key]
        return str(node)

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _check_same(registered: set[str], found: set[str], *, what: str) -> None:
    for name in sorted(registered ^ found):
        has, lacks = ("dvc.lock", "dvc.yaml") if name in registered else ("dvc.yaml", "dvc.lock")
        raise InputError(
            f"{what}: {has} has {name}, {lacks} has not; the commit holds another pipeline than was registered"
        )


def _ordered(stages: Mapping[str, Stage]) -> list[str]:
    """Each stage after those whose outputs it reads, in the order of dvc.lock where both may come first."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, stage in stages.items():
        sorter.add(name, *(other.name for other in stages.values() if _reads(stage, other)))
    sorter.prepare()
    places = list(stages)
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=places.index)
        order += ready
        sorter.done(*ready)
    return order


def _reads(stage: Stage, other: Stage) -> bool:
    pairs = [(PurePosixPath(path), PurePosixPath(one.path)) for path in stage.dependencies for one in other.outputs]
    return any(dependency.is_relative_to(made) or made.is_relative_to(dependency) for dependency, made in pairs)
