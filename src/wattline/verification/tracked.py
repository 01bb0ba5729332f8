"""What DVC tracks in this project: outputs of stages, and what `dvc add` took."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattline import objects
from wattline.errors import InputError

FOLDER = Path(".dvc")


@dataclass(frozen=True)
class Output:
    """A file or folder that is on record.

    path: relative to the project
    md5: of its bytes; of its listing, with .dir, for a folder
    by: stage that writes it, or its .dvc file
    cached: whether DVC keeps its bytes; git does for the others, such as reports
    pushed: whether they belong into a remote, too
    remote: the one remote that they go to, where the output names one
    """

    path: Path
    md5: str
    by: str
    cached: bool
    pushed: bool
    remote: str | None


@contextmanager
def opened(config: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """The DVC repository of this folder, with more of its configuration. Raises InputError where there is none."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not FOLDER.is_dir():
        raise InputError(f"{Path.cwd()} holds no DVC project; run this in the root of the repository")
    try:
        with Repo(".", config=config) as repo:
            yield repo
    except DvcException as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"DVC cannot go on: {reason}; `dvc doctor` and `dvc status` say more") from None


def outputs(repo: Any) -> list[Output]:
    """Everything that is on record, in the order of the pipeline's file.

    Raises InputError for what is on record by anything but the MD5 of its bytes.
    """
    return [_output(out, stage.addressing) for stage in repo.index.stages for out in stage.outs if out.hash_info]


def unrecorded(repo: Any) -> list[str]:
    """Stages that did not run yet."""
    return [stage.addressing for stage in repo.index.stages if not all(out.hash_info for out in stage.outs)]


def chosen(found: Sequence[Output], targets: Sequence[str]) -> list[Output]:
    """Of these outputs those of the stages, files and folders that are named; all where none is.

    A path within an output means the output. Raises InputError for a target that is nothing of the kind.
    """
    if not found:
        raise InputError("DVC has nothing on record here: neither dvc.lock nor a .dvc file; run `dvc repro` first")
    for target in targets:
        if not any(_means(target, one) for one in found):
            known = ", ".join(sorted({one.by for one in found}))
            raise InputError(f"'{target}' is no stage or output on record; on record are {known}, and what they write")
    return [one for one in found if not targets or any(_means(target, one) for target in targets)]


def cache(repo: Any) -> objects.Cache:
    """The cache of a repository."""
    return objects.Cache(Path(repo.cache.local.path).parents[1])


def _means(target: str, output: Output) -> bool:
    path = Path(target)
    path = path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    return target == output.by or path == output.path or path in output.path.parents or output.path in path.parents


def _output(out: Any, by: str) -> Output:
    path = Path(out.fs_path)
    if out.hash_info.name != "md5" or out.protocol != "local":
        raise InputError(
            f"{out} is on record by {out.hash_info.name} and not by MD5 of its bytes, so it cannot be verified; "
            "`dvc cache migrate --dvc-files` brings records of DVC 2 up to date"
        )
    return Output(
        path=path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path,
        md5=out.hash_info.value,
        by=by,
        cached=bool(out.use_cache),
        pushed=bool(out.use_cache and out.can_push),
        remote=out.remote,
    )
