"""A clean git worktree of one commit, in a temporary folder that vanishes however the work in it ends."""

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from wattline.errors import WattlineError
from wattline.reproduction.commands import Place, Say, git


@contextmanager
def checkout(commit: str, *, keep: bool, say: Say) -> Iterator[Place]:
    """Check `commit` out beside the user's tree, which is never touched, and give the place.

    keep: leave it there and say where
    Raises WattlineError when git cannot.
    """
    project = Path.cwd()
    private = Path(tempfile.mkdtemp(prefix="wattline-reproduce-")).resolve()
    tree = private / "worktree"
    try:
        with _ended_by_sigterm():
            _add(tree, commit, project=project)
            prefix = git("rev-parse", "--show-prefix", folder=project).stdout.strip()
            place = Place(private=private, root=tree / prefix)
            place.scratch.mkdir()
            yield place
    finally:
        if keep:
            say(f"kept: {tree}; `git worktree remove --force {tree}` removes it")
        else:
            _remove(tree, private, project=project)


def _add(tree: Path, commit: str, *, project: Path) -> None:
    git("worktree", "prune", folder=project)
    added = git("worktree", "add", "--quiet", "--detach", str(tree), commit, folder=project)
    if added.returncode:
        raise WattlineError(f"git could not check {commit} out: {' '.join(added.stderr.split())}")


def _remove(tree: Path, private: Path, *, project: Path) -> None:
    git("worktree", "remove", "--force", str(tree), folder=project)
    shutil.rmtree(private, ignore_errors=True)
    git("worktree", "prune", folder=project)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, with which CI ends a job, pass through `finally` as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
