"""Outputs of a job, kept until somebody takes them over: DVC removes a stage's outputs before it asks for them again."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from wattline import files
from wattline.errors import WattlineError

FOLDER = "made"


def keep(outputs: Iterable[Path], folder: Path) -> None:
    """Keep `outputs` in `folder`, all or nothing, as further names of the same files where that is possible.

    Raises WattlineError naming an output that is not there.
    """
    with files.replace_directory(folder) as fresh:
        for path in outputs:
            if not path.exists():
                raise WattlineError(f"{path} was not written, or removed while the job ran; run `dvc repro` again")
            _same(path, fresh / path)


def restore(outputs: Iterable[Path], folder: Path) -> None:
    """Put what `keep` kept where it belongs; what is there already is replaced.

    Raises WattlineError when the job kept nothing that can be seen from here.
    """
    wanted = tuple(outputs)
    missing = [str(path) for path in wanted if not (folder / path).exists()]
    if missing:
        raise WattlineError(
            f"the job ended well, but {missing[0]} is not in {folder}; is the project on a file system that login node "
            "and nodes share? If so, run this again"
        )
    for path in wanted:
        _replace(folder / path, path)


def _replace(kept: Path, path: Path) -> None:
    if kept.is_dir():
        with files.replace_directory(path) as fresh:
            shutil.copytree(kept, fresh, copy_function=_link, dirs_exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _link(kept, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _same(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def remove(job: Path) -> None:
    """Forget what the job of a folder kept: it was taken over."""
    shutil.rmtree(job / FOLDER, ignore_errors=True)
