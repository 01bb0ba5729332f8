"""What the stages left behind: which reports are there, and whether they are of this run or an earlier one."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from wattline.gitlab.reports.pipeline import Locked, Stage, locked, stages, upstream
from wattline.records import (
    Decision,
    Evaluation,
    Measurement,
    Record,
    TrainingEnergy,
    Validation,
)

AnyRecord = TypeVar("AnyRecord", bound=Record)

State = Literal["current", "unfinished", "earlier", "unreadable", "missing"]
KINDS: Mapping[str, type[Record]] = {
    "decide": Decision,
    "evaluate": Evaluation,
    "measure": Measurement,
    "train_energy": TrainingEnergy,
    "validate": Validation,
}
"""Report -> record. Of the others it is enough that they are JSON objects."""


@dataclass(frozen=True)
class Report:
    """One report that a stage should have left.

    state: "unfinished": it was written in this run by a stage that did not come to its end; "earlier": it lies there
        from a run before this one
    problem: in words, why it does not count; empty where it does
    content: the record; a mapping where there is none for it; None where it cannot be read
    """

    stage: str
    path: Path
    state: State
    problem: str = ""
    content: Any = None

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True)
class Left:
    """All reports of the stages that should have run, in the order of the pipeline."""

    reports: tuple[Report, ...]

    def current(self, name: str, kind: type[AnyRecord]) -> AnyRecord | None:
        """The record in `reports/<name>.json`, if it is of this run and its stage ended well."""
        return self._record(name, kind, ("current",))

    def written(self, name: str, kind: type[AnyRecord]) -> AnyRecord | None:
        """The same, also of a stage that failed after it had written it."""
        return self._record(name, kind, ("current", "unfinished"))

    def _record(self, name: str, kind: type[AnyRecord], states: Sequence[State]) -> AnyRecord | None:
        for one in self.reports:
            if one.name == name and one.state in states and isinstance(one.content, kind):
                return one.content
        return None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why reports do not count, one sentence each."""
        return tuple(one.problem for one in self.reports if one.problem)


def left(wanted: Sequence[str] = ()) -> Left:
    """What lies in the current folder, a project's root.

    wanted: stages that should have run, with all that they rest on; default: every stage of dvc.yaml
    Raises InputError when dvc.yaml or dvc.lock cannot be read, or has no stage of such a name.
    """
    known = stages(Path("dvc.yaml"))
    lock = locked(Path("dvc.lock"))
    found: dict[str, list[Report]] = {}
    for name, stage in upstream(known, wanted or tuple(known)).items():
        behind = next((one for other in stage.upstream for one in found.get(other, []) if one.state != "current"), None)
        found[name] = _together([_report(stage, path, lock, behind) for path in stage.reports])
    return Left(tuple(one for reports in found.values() for one in reports))


def _together(reports: list[Report]) -> list[Report]:
    """Reports of one stage: it ended well with all of them, or with none."""
    first = next((one for one in reports if one.state != "current"), None)
    if first is None:
        return reports
    why = f"does not count: {first.path}, of the same stage, is {first.state}"
    return [one if one.problem else replace(one, state="unfinished", problem=f"{one.path} {why}") for one in reports]


def _report(stage: Stage, path: Path, lock: Mapping[str, Locked], behind: Report | None) -> Report:
    try:
        text = path.read_bytes()
    except OSError:
        return Report(stage.name, path, "missing", f"{path} is missing: stage {stage.name} did not write it")
    try:
        content = _content(path, text)
    except (ValueError, ValidationError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        return Report(stage.name, path, "unreadable", f"{path} is not a report of stage {stage.name}: {reason}")
    state, problem = _state(stage, path, text, lock, behind)
    return Report(stage.name, path, state, problem, content)


def _content(path: Path, text: bytes) -> Any:
    kind = KINDS.get(path.stem)
    if kind is not None:
        return kind.from_json(text)
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    return found


def _state(
    stage: Stage, path: Path, text: bytes, lock: Mapping[str, Locked], behind: Report | None
) -> tuple[State, str]:
    entry = lock.get(stage.name, Locked())
    if entry.outs.get(str(path)) != md5(text):
        if behind is not None:  # its stage cannot have begun in this run
            return "earlier", f"{path} is not of this run: {behind.path}, which it rests on, is {behind.state}"
        return "unfinished", f"{path} is not the one that dvc.lock names: stage {stage.name} did not end well"
    if behind is not None:
        return "earlier", f"{path} is of an earlier run: {behind.path}, which it rests on, is {behind.state}"
    for name in _outdated(entry, lock):
        return "earlier", f"{path} is of an earlier run: {name}, which it rests on, has changed since"
    return "current", ""


def _outdated(entry: Locked, lock: Mapping[str, Locked]) -> Iterator[str]:
    """Dependencies that are not any more what the stage has seen. Folders that no stage makes are left to DVC."""
    made = {path: digest for other in lock.values() for path, digest in other.outs.items()}
    for name, seen in entry.deps.items():
        place = Path(name)
        now = md5(place.read_bytes()) if place.is_file() else made.get(name, seen)
        if now != seen:
            yield name


def md5(content: bytes) -> str:
    """The name that DVC gives to `content`."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
