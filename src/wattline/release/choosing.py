"""Which version a tag may release: the champion, if what it was made from is what the tag holds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wattline import signing
from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.git import call, git_command
from wattline.params import Params
from wattline.registry import lookup, statements
from wattline.registry.evidence import Evidence
from wattline.registry.model import Model
from wattline.registry.moving import ORIGIN
from wattline.registry.stored import downloaded
from wattline.settings import Settings
from wattline.signing.statement import Statement

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

TAG = re.compile(r"v((?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*))")
ALWAYS = ("dvc.yaml", "pyproject.toml", "requirements")
"""Inputs of every stage, besides what dvc.yaml names and params.yaml."""
NO_INPUTS = ("registry",)
"""Sections of params.yaml that no stage reads: they may have changed since."""


@dataclass(frozen=True)
class Chosen:
    """The version that a tag releases, while its files are here.

    tag, number: of the release, with and without the leading v
    envelope: the signed statement
    """

    tag: str
    number: str
    version: "ModelVersion"
    evidence: Evidence
    statement: Statement
    envelope: bytes
    commit: str

    @property
    def label(self) -> str:
        return f"{self.version.name} version {self.version.version}"


def tagged(known: Settings) -> tuple[str, str]:
    """The tag of this job and the version in it. Raises InputError unless it is vX.Y.Z and checked out here."""
    tag = known.ci_commit_tag
    if tag is None:
        raise InputError("CI_COMMIT_TAG is not set: a release is made by the pipeline of a tag; push a tag vX.Y.Z")
    found = TAG.fullmatch(tag)
    if found is None:
        raise InputError(f"tag {tag!r} is no version to release; call it vX.Y.Z, such as v1.2.0")
    head = _git("rev-parse", "HEAD")
    if known.ci_commit_sha is not None and head != known.ci_commit_sha:
        raise InputError(f"CI_COMMIT_SHA is {known.ci_commit_sha[:12]}, checked out is {head[:12]}; check out the tag")
    return tag, found[1]


@contextmanager
def chosen(model: Model, loaded: Params, known: Settings) -> Iterator[Chosen]:
    """The champion with its verified files, which vanish afterwards.

    Raises InputError or RejectedError in one sentence when this tag must not release it, IntegrityError when it does
    not hold.
    """
    tag, number = tagged(known)
    entry = model.champion()
    if entry is None or entry.version is None:
        raise InputError(f"{model.name} has no champion, so that {tag} has nothing to release; promote a version first")
    version = lookup.number(model, entry.version)
    if ORIGIN in version.tags:
        raise InputError(f"the champion, version {entry.version}, came from {version.tags[ORIGIN]}; release it there")
    with downloaded(version) as evidence:
        statements.verified(version, evidence, model.trusted)
        envelope = statements.fetch(version)
        if envelope is None or evidence.candidate.digest != entry.digest:
            raise IntegrityError(
                f"version {entry.version} of {model.name} is not what the audit log promoted; run `wattline recover`"
            )
        statement = signing.verify(envelope, model.trusted)
        check_origin(statement, loaded, tag=tag)
        yield Chosen(tag, number, version, evidence, statement, envelope, _git("rev-parse", "HEAD"))


def check_origin(statement: Statement, loaded: Params, *, tag: str) -> None:
    """Raise RejectedError unless the tag's commit would make this version: the same commit, or one without a change.

    A commit that follows may have other documents, tests or outputs; whatever a stage reads must be the same.
    """
    said = statement.predicate
    label = f"version {said.version} of {said.name}"
    if said.dirty is not False:
        raise RejectedError(f"{label} was made from sources that no commit holds, so no tag can release it")
    if not _ok("cat-file", "-e", f"{said.commit}^{{commit}}"):
        raise RejectedError(
            f"{label} was made from commit {said.commit[:12]}, which is not in this clone; set GIT_DEPTH to 0, or "
            "promote a version of this project"
        )
    if not _ok("merge-base", "--is-ancestor", said.commit, "HEAD"):
        raise RejectedError(
            f"{label} was made from commit {said.commit[:12]}, on which {tag} does not rest; tag a commit that does"
        )
    changed = [*_changed(said.commit, inputs(loaded)), *_changed_params(said.commit)]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise RejectedError(
            f"{label} was made from commit {said.commit[:12]}; since then {', '.join(changed[:3])}{more} changed, so "
            f"{tag} is no longer what it was made from; promote a version of this commit, or tag {said.commit[:12]}"
        )


def inputs(loaded: Params) -> list[str]:
    """Paths in git that stages read: what dvc.yaml names and no stage writes."""
    try:
        text = Path("dvc.yaml").read_text()
    except FileNotFoundError:
        return ["."]  # without the list, whatever differs counts
    for name, value in {"task.folder": loaded.task.folder, "task.name": loaded.task.name}.items():
        text = text.replace(f"${{{name}}}", value)
    stages = yaml.safe_load(text)["stages"].values()
    wanted = {str(one) for stage in stages for one in stage.get("deps", [])}
    made = {_path(one) for stage in stages for key in ("outs", "metrics", "plots") for one in stage.get(key, [])}
    found = sorted(one for one in wanted if not any(one == out or one.startswith(f"{out}/") for out in made))
    return ["."] if any("${" in one for one in found) else [*ALWAYS, loaded.task.folder, *found]


def _path(entry: Any) -> str:
    return str(next(iter(entry))) if isinstance(entry, dict) else str(entry)


def _changed(commit: str, paths: Sequence[str]) -> list[str]:
    outputs = [":(exclude)dvc.lock", ":(exclude)reports", ":(exclude)model_cards", ":(exclude)params.yaml"]
    return _git("diff", "--name-only", commit, "HEAD", "--", *paths, *outputs).splitlines()


def _changed_params(commit: str) -> list[str]:
    """Sections of params.yaml that a stage may read and that are not what they were."""
    then, now = _params(commit), _params("HEAD")
    names = dict.fromkeys([*then, *now])
    return [f"params.yaml: {name}" for name in names if name not in NO_INPUTS and then.get(name) != now.get(name)]


def _params(commit: str) -> Mapping[str, Any]:
    return dict(yaml.safe_load(_git("show", f"{commit}:./params.yaml")))


def _git(*arguments: str) -> str:
    code, said, error = call(git_command(*arguments))
    if code:
        reason = error.strip().split("\n", maxsplit=1)[0]
        raise InputError(f"git {arguments[0]} failed: {reason}; run this in a clone of the project, with GIT_DEPTH 0")
    return said.strip()


def _ok(*arguments: str) -> bool:
    return call(git_command(*arguments))[0] == 0
