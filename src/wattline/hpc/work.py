"""What a stage does by dvc.yaml: what it reads, as one digest, and what it writes."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattline import files, params
from wattline.errors import InputError
from wattline.params import unique
from wattline.sites import PIPELINE

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
COMPILED = "__pycache__"
"""Nobody's input, as .dvcignore says."""


@dataclass(frozen=True)
class Work:
    """Something that is to be done once.

    key: digest of command, site and everything that is read; the same work has the same one
    outputs: what it writes, relative to the project
    """

    name: str
    key: str
    outputs: tuple[Path, ...]


def of_stage(stage: str, site: str) -> Work:
    """The work of one stage of dvc.yaml. Raises InputError when it cannot be read, or an input is missing."""
    tree, knobs = _tree(PIPELINE), _tree(params.FILE)
    found = _stage(tree, stage)
    inputs = [Path(path) for path in _entries(found.get("deps"), knobs)]
    said: dict[str, Any] = {
        "command": found.get("cmd"),
        "site": site,
        "params": {key: _value(knobs, key) for key in _entries(found.get("params"), knobs)},
        "inputs": {str(path): _digest(path, stage) for path in inputs},
    }
    return Work(stage, _key(said), _outputs(found, knobs))


def outputs_of(stage: str) -> tuple[Path, ...]:
    """What a stage of dvc.yaml writes. Raises InputError when it cannot be read."""
    return _outputs(_stage(_tree(PIPELINE), stage), _tree(params.FILE))


def inputs_of(stage: str) -> tuple[Path, ...]:
    """What a stage of dvc.yaml reads. Raises InputError when it cannot be read."""
    return tuple(Path(path) for path in _entries(_stage(_tree(PIPELINE), stage).get("deps"), _tree(params.FILE)))


def of_command(
    name: str, command: Sequence[str], site: str, *, inputs: Iterable[Path], outputs: Iterable[Path]
) -> Work:
    """The work of a command that is no stage of dvc.yaml: it may read all of params.yaml.

    Raises InputError for a name that cannot be part of a job's, and for a missing input.
    """
    check_name(name)
    said = {
        "command": list(command),
        "site": site,
        "params": files.sha256(params.FILE),
        "inputs": {str(path): _digest(path, name) for path in inputs},
    }
    return Work(name, _key(said), tuple(outputs))


def check_name(name: str) -> None:
    """Raise InputError for a name that cannot be part of a job's, of a folder's and of a script."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
        raise InputError(f"a job cannot be called {name!r}; use a letter, then letters, digits, - or _, all lower case")


def _stage(tree: Mapping[str, Any], stage: str) -> dict[str, Any]:
    check_name(stage)
    stages = tree.get("stages")
    found = stages.get(stage) if isinstance(stages, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"dvc.yaml has no stage {stage!r}, so it is not known what a job of it reads and writes")
    return found


def _outputs(found: Mapping[str, Any], knobs: Mapping[str, Any]) -> tuple[Path, ...]:
    return tuple(Path(path) for what in ("outs", "metrics", "plots") for path in _entries(found.get(what), knobs))


def _key(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _tree(path: Path) -> dict[str, Any]:
    try:
        tree = unique.read(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not here; run this in the folder of the project") from None
    return tree if isinstance(tree, dict) else {}


def _entries(rows: Any, knobs: Mapping[str, Any]) -> Iterator[str]:
    """Of a list in which a row is a name, or a name with its options; references to params.yaml are filled in."""
    for row in rows or ():
        name = next(iter(row)) if isinstance(row, dict) else str(row)
        yield REFERENCE.sub(lambda found: str(_value(knobs, found[1])), name)


def _value(values: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            raise InputError(f"dvc.yaml names {key}, which params.yaml does not have; add it there")
        values = values[part]
    return values


def _digest(path: Path, reader: str) -> str:
    if path.is_file():
        return files.sha256(path)
    if not path.is_dir():
        raise InputError(f"{path} is missing, which {reader} reads; run `dvc repro` to make it")
    said = [
        f"{found.relative_to(path)} {files.sha256(found)}"
        for found in sorted(path.rglob("*"))
        if found.is_file() and COMPILED not in found.parts
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
