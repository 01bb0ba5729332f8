"""Which stages of dvc.yaml a change touches: their files, their knobs, and what comes after them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from wattline.gitlab.note.reports import Reader

PIPELINE, PARAMS = "dvc.yaml", "params.yaml"
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
MISSING = object()


@dataclass(frozen=True)
class Stage:
    """A stage as dvc.yaml has it, its references to params.yaml filled in. Paths and keys, no contents."""

    command: str
    dependencies: tuple[str, ...]
    params: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Touched:
    """What a change does to the pipeline.

    direct: stages of which a file, a knob or the definition changed; later: stages that only depend on those
    knobs: key in params.yaml -> value before and now, as text
    """

    direct: tuple[str, ...]
    later: tuple[str, ...]
    knobs: Mapping[str, tuple[str, str]]

    @property
    def any(self) -> bool:
        return bool(self.direct)


def touched(changed: Iterable[str], *, before: Reader, now: Reader) -> Touched | None:
    """Stages that `changed` files touch; None where dvc.yaml or params.yaml of today cannot be read."""
    params, former = _yaml(now(PARAMS)), _yaml(before(PARAMS))
    stages, earlier = _stages(_yaml(now(PIPELINE)), params), _stages(_yaml(before(PIPELINE)), former)
    if not stages:
        return None
    made = [path for stage in stages.values() for path in stage.outputs]  # reports are in git, and no inputs of anybody
    files = [file for file in changed if not any(_lies_in(file, place) for place in made)]
    direct = [
        name
        for name, stage in stages.items()
        if stage != earlier.get(name)
        or any(_lies_in(file, place) for file in files for place in stage.dependencies)
        or any(_value(params, key) != _value(former, key) for key in stage.params)
    ]
    return Touched(tuple(direct), tuple(_later(stages, direct)), _knobs(former, params))


def _stages(pipeline: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Stage]:
    def texts(rows: Any) -> tuple[str, ...]:
        """Of a list in which a row may be a path or a path with its options."""
        names = [next(iter(row)) if isinstance(row, dict) else str(row) for row in rows or ()]
        return tuple(REFERENCE.sub(lambda found: str(_value(params, found[1])), name) for name in names)

    found = pipeline.get("stages")
    stages = (
        {name: stage for name, stage in found.items() if isinstance(stage, dict)} if isinstance(found, dict) else {}
    )
    return {
        name: Stage(
            command=str(stage.get("cmd")),
            dependencies=texts(stage.get("deps")),
            params=texts(stage.get("params")),
            outputs=tuple(path for kind in ("outs", "metrics", "plots") for path in texts(stage.get(kind))),
        )
        for name, stage in stages.items()
    }


def _later(stages: Mapping[str, Stage], direct: Iterable[str]) -> list[str]:
    """Stages that depend on an output of `direct`, or of one that does."""
    reached = set(direct)
    while True:
        made = [path for name in reached for path in stages[name].outputs]
        more = {
            name
            for name, stage in stages.items()
            if name not in reached and any(_lies_in(path, place) for path in made for place in stage.dependencies)
        }
        if not more:
            return [name for name in stages if name in reached and name not in set(direct)]
        reached |= more


def _lies_in(path: str, place: str) -> bool:
    """Whether one is the other, or lies in it."""
    return path == place or path.startswith(f"{place}/") or place.startswith(f"{path}/")


def _knobs(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    former, today = dict(_leaves(before)), dict(_leaves(now))
    keys = [*today, *(key for key in former if key not in today)]
    return {
        key: (former.get(key, "not there"), today.get(key, "not there"))
        for key in keys
        if former.get(key) != today.get(key)
    }


def _leaves(values: Any, place: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(values, dict) and values:
        for name, value in values.items():
            yield from _leaves(value, f"{place}.{name}" if place else str(name))
    else:
        yield place, yaml.safe_dump(values, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def _value(values: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return MISSING
        values = values[part]
    return values


def _yaml(content: bytes | None) -> dict[str, Any]:
    try:
        found = yaml.safe_load(content) if content is not None else None
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
