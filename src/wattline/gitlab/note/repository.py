"""What git knows of the change: where it left the target branch, which files it touches, what they held before."""

import re
import subprocess
from dataclasses import dataclass
from functools import partial

from wattline.gitlab.note.reports import Reader

SECONDS = 60


@dataclass(frozen=True)
class Base:
    """The commit that a change is compared with.

    commit: where the change left the target branch; "" where that is not known
    branch: the target branch
    ahead: commits on the target branch since
    changed: files that the change touches; None where that is not known
    """

    commit: str
    branch: str
    ahead: int = 0
    changed: tuple[str, ...] | None = None

    @property
    def reader(self) -> Reader:
        """Reads files as they were there."""
        return partial(content, self.commit)


def base(branch: str, *, known: str | None = None) -> Base:
    """Where the commit that is checked out left `branch`.

    known: a commit to take where git finds none, as GitLab names it
    """
    for reference in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        found = _git("merge-base", reference, "HEAD")
        if found:
            ahead = _git("rev-list", "--count", f"HEAD..{reference}")
            return Base(found, branch, ahead=int(ahead or 0), changed=_changed(found))
    if known and re.fullmatch("[0-9a-f]{7,64}", known) and _git("cat-file", "-t", known) == "commit":
        return Base(known, branch, changed=_changed(known))
    return Base("", branch)


def content(commit: str, path: str) -> bytes | None:
    """A file as it is in a commit; None where it, or the commit, is not there."""
    done = _run("show", f"{commit}:{path}") if commit else None
    return done.stdout if done is not None and done.returncode == 0 else None


def _changed(commit: str) -> tuple[str, ...] | None:
    """With what is not committed yet: that is what a preview is about."""
    done = _run("diff", "--name-only", "--no-renames", "-z", commit)
    if done is None or done.returncode != 0:
        return None
    return tuple(name for name in done.stdout.decode(errors="replace").split("\0") if name)


def _git(*arguments: str) -> str:
    done = _run(*arguments)
    return done.stdout.decode().strip() if done is not None and done.returncode == 0 else ""


def _run(*arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    """What git says; None where there is no git or it hangs. A ref or a path is never taken for an option."""
    command = ["git", "--no-pager", *arguments]
    try:
        return subprocess.run(command, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
