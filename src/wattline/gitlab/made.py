"""What the pipeline made and git keeps: dvc.lock, reports and cards, with the inputs that they were made from."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from wattline import objects
from wattline.errors import InputError, IntegrityError
from wattline.git import call, git, git_command, git_file

LOCK = "dvc.lock"
ABSENT = "0" * 40


@dataclass(frozen=True)
class Made:
    """What one pipeline made.

    head: the commit that it ran on
    lock: the content of dvc.lock
    outputs: paths of stages' outputs that git keeps, files and folders
    inputs: paths that stages, or the pipeline's own description, are read from
    files: path -> blob of everything that is to be committed
    """

    head: str
    lock: Mapping[str, Any]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    files: Mapping[str, str]


def read() -> Made:
    """Take what was made in this folder, and put it into git's store, on no branch.

    Raises InputError when it was not made from the commit that is checked out, IntegrityError when an output is not
    what dvc.lock says.
    """
    if git("rev-parse", "--show-prefix"):
        raise InputError(f"{Path.cwd()} is not the root of the git repository; run this there")
    lock = _parsed(Path(LOCK).read_text(errors="replace") if Path(LOCK).is_file() else "")
    if not lock:
        raise InputError("dvc.lock is not here or empty; give this job the artifacts of the one that ran `dvc repro`")
    outputs, inputs = _paths()
    _check_outputs(lock, outputs)
    made = Made(head=git("rev-parse", "HEAD"), lock=lock, outputs=outputs, inputs=inputs, files=_stored(outputs))
    changed = _names(git("diff", "--name-only", "--no-renames", "-z", "HEAD"))
    changed += _names(git("ls-files", "--others", "--exclude-standard", "-z"))
    touched = differing(made, changed)
    if touched:
        raise InputError(
            f"{touched[0]} is not as in commit {made.head[:12]}, so dvc.lock was not made from it; let the job start "
            "from a clean checkout"
        )
    return made


def differing(made: Made, paths: Iterable[str]) -> list[str]:
    """Those of `paths` that the pipeline reads and does not make itself."""
    return [
        path
        for path in paths
        if any(_within(path, one) for one in made.inputs)
        and not any(_within(path, one) for one in (*made.outputs, LOCK))
    ]


def changed_inputs(made: Made, commit: str) -> list[str]:
    """Inputs of the pipeline that differ between `commit` and what `made` was made from."""
    return differing(made, _names(git("diff", "--name-only", "--no-renames", "-z", made.head, commit)))


def replaced(made: Made, commit: str) -> bool:
    """Whether `commit` has another dvc.lock for the same inputs, whole and with its outputs, that came since."""
    theirs = git_file(commit, LOCK)
    if theirs is None or theirs == git_file(made.head, LOCK):
        return False
    try:
        lock = _parsed(theirs.decode())
    except (InputError, UnicodeDecodeError):
        return False
    return _same_sources(lock, made.lock) and _whole(lock) and _has_outputs(lock, made.outputs, commit)


def commit_on(made: Made, tip: str, *, message: str, author: str, email: str) -> str | None:
    """A commit after `tip` that holds what was made and is otherwise the same tree; None when it would be the same."""
    former = _names(git("ls-tree", "-r", "-z", "--name-only", tip, "--", *made.outputs)) if made.outputs else []
    entries = [f"0 {ABSENT}\t{path}\0" for path in former if path not in made.files]
    entries += [f"100644 {blob}\t{path}\0" for path, blob in made.files.items()]
    index = (f"GIT_INDEX_FILE={Path(git('rev-parse', '--absolute-git-dir')) / 'wattline-lock-index'}",)
    try:
        git("read-tree", tip, variables=index)
        git("update-index", "-z", "--index-info", variables=index, standard_input="".join(entries))
        tree = git("write-tree", variables=index)
    finally:
        Path(index[0].partition("=")[2]).unlink(missing_ok=True)
    if tree == git("rev-parse", f"{tip}^{{tree}}"):
        return None
    names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    identity = [f"{name}={author if name.endswith('NAME') else email}" for name in names]
    return git("commit-tree", tree, "-p", tip, variables=identity, standard_input=message)


def _paths() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Outputs that git keeps, and inputs, of all stages."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        stages = list(repo.index.stages)
        root = Path(repo.root_dir)
        outputs = {_relative(out.fs_path, root) for stage in stages for out in stage.outs if not out.use_cache}
        inputs = {_relative(dep.fs_path, root) for stage in stages for dep in stage.deps if dep.is_in_repo}
        inputs |= {_relative(stage.path, root) for stage in stages} | {".dvcignore"}
        # Values in dvc.yaml come from here, whether or not a stage names them.
        inputs.add("params.yaml")
    ignored = set(_names(call(git_command("check-ignore", "--stdin", "-z"), standard_input="\0".join(outputs))[1]))
    return tuple(sorted(outputs - ignored)), tuple(sorted(inputs))


def _relative(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix()


def _stored(outputs: Iterable[str]) -> dict[str, str]:
    """Path -> blob of dvc.lock and all files of the outputs, byte for byte."""
    found = [LOCK]
    for output in map(Path, outputs):
        found += [str(path) for path in ([output] if output.is_file() else sorted(output.rglob("*"))) if path.is_file()]
    blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", standard_input="\n".join(found) + "\n")
    return dict(zip(found, blobs.splitlines(), strict=True))


def _check_outputs(lock: Mapping[str, Any], outputs: Iterable[str]) -> None:
    recorded = _made(lock)
    for output in outputs:
        if objects.digest(Path(output)) != recorded.get(output):
            raise IntegrityError(
                f"{output} is not what dvc.lock says; let this job take both from the artifacts of one job"
            )


def _parsed(text: str) -> Mapping[str, Any]:
    """Stage -> its entry in dvc.lock. Raises InputError when it is none."""
    from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
    from voluptuous import Invalid

    try:
        stages = (yaml.safe_load(text) or {}).get("stages", {})
        return {name: COMPILED_LOCK_FILE_STAGE_SCHEMA(entry) for name, entry in stages.items() if entry["cmd"]}
    except (yaml.YAMLError, AttributeError, TypeError, KeyError, Invalid):
        raise InputError("dvc.lock cannot be read; run `dvc repro` again") from None


def _made(lock: Mapping[str, Any]) -> dict[str, str | None]:
    """Path -> digest of all outputs."""
    return {out["path"]: out.get("md5") for entry in lock.values() for out in entry.get("outs", [])}


def _sources(lock: Mapping[str, Any]) -> Any:
    """What a lock says of all that no stage makes: commands, parameters, digests."""
    made = _made(lock)
    return {
        name: (
            entry["cmd"],
            entry.get("params"),
            {
                dep["path"]: dep.get("md5")
                for dep in entry.get("deps", [])
                if not any(_within(dep["path"], one) for one in made)
            },
        )
        for name, entry in lock.items()
    }


def _same_sources(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(_sources(one) == _sources(other))


def _whole(lock: Mapping[str, Any]) -> bool:
    """Whether every stage read what the stage before it is said to have made; a merge of two locks may not be."""
    made = _made(lock)
    dependencies = [dep for entry in lock.values() for dep in entry.get("deps", [])]
    return all(made.get(dep["path"], dep.get("md5")) == dep.get("md5") for dep in dependencies)


def _has_outputs(lock: Mapping[str, Any], outputs: Iterable[str], commit: str) -> bool:
    recorded = _made(lock)
    for output in outputs:
        names = _names(git("ls-tree", "-r", "-z", "--name-only", commit, "--", output))
        contents = {name: git_file(commit, name) or b"" for name in names}
        digests = {name: hashlib.md5(text, usedforsecurity=False).hexdigest() for name, text in contents.items()}
        below = {name.removeprefix(f"{output}/"): md5 for name, md5 in digests.items()}
        found = digests[output] if output in digests else objects.listing_digest(below)
        if found != recorded.get(output):
            return False
    return True


def _names(text: str) -> list[str]:
    return [name for name in text.split("\0") if name]


def _within(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)
