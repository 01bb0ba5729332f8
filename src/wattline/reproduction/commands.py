"""Commands that run in the worktree: streamed, on their own, and ended with everything that they started."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wattline.git import git_command
from wattline.interruption import Say, streamed
from wattline.settings import settings

__all__ = ["Place", "Say", "dvc", "git", "streamed"]

UNSET = (
    # A hook or an alias of git sets these: they would lead commands out of the worktree.
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"),
    # Runs go to a store of their own.
    *("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    # No stage signs.
    *("WATTLINE_SIGNING_KEY", "WATTLINE_SIGNING_PASSPHRASE"),
)


@dataclass(frozen=True)
class Place:
    """Where a version is made again.

    private: temporary folder of this reproduction; it holds the worktree and all state of what runs in it
    root: the project in the worktree
    """

    private: Path
    root: Path

    @property
    def scratch(self) -> Path:
        """For files that what runs there, killed, would leave in the machine's folder for them."""
        return self.private / "tmp"

    def environment(self, python: Path) -> list[str]:
        """The start of a command: sets its variables so that it sees this place and nothing of the user's."""
        variables = {
            "PATH": os.pathsep.join([str(python.parent), *os.get_exec_path()]),
            "PYTHONPATH": str(self.root / "src"),
            "TMPDIR": str(self.scratch),
            "WATTLINE_STATE": str(self.private / "state"),
            "DVC_SITE_CACHE_DIR": str(self.private / "dvc"),
            "DVC_NO_ANALYTICS": "1",
        }
        mirror = settings().data_mirror
        if mirror is not None:
            variables["WATTLINE_DATA_MIRROR"] = str(mirror.resolve())
        unset = [word for name in UNSET for word in ("-u", name)]
        return ["env", *unset, *(f"{name}={value}" for name, value in variables.items())]


def dvc(place: Place, python: Path, *arguments: str) -> list[str]:
    """A command of DVC in the worktree."""
    return [*place.environment(python), str(python), "-m", "dvc", *arguments]


def git(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run git in `folder` and give what it said."""
    command = git_command(*arguments, unset=UNSET)
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False)
