"""Outputs of a job, kept until they are taken over: DVC removes those of a stage before it asks for them again."""

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from wattline import files
from wattline.errors import WattlineError

FOLDER = "made"
SECONDS_TO_APPEAR = 65.0
"""What a node wrote may be seen so much later on a login node: NFS believes for a minute that a folder is not there."""


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
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    while missing := [str(path) for path in wanted if not (folder / path).exists()]:
        if time.monotonic() >= deadline:
            raise WattlineError(
                f"the job ended well, but {missing[0]} is not in {folder}; is the project on a file system that login "
                "node and nodes share? If so, run this again"
            )
        time.sleep(0.5)
    for path in wanted:
        _replace(folder / path, path)


def _replace(kept: Path, path: Path) -> None:
    if kept.is_dir():
        with files.replace_directory(path) as fresh:
            shutil.copytree(kept, fresh, copy_function=files.link, dirs_exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        files.link(kept, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _same(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=files.link)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    files.link(source, target)


def remove(job: Path) -> None:
    """Forget what the job of a folder kept: it was taken over."""
    shutil.rmtree(job / FOLDER, ignore_errors=True)
