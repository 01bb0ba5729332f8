"""A clean git worktree of one commit, in a temporary folder that vanishes however the work in it ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline.errors import WattlineError
from wattline.interruption import ended_by_sigterm
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
        with ended_by_sigterm():
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
