"""git without anybody's configuration, and the repository in which a pipeline is proved."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, env=os.environ | NOBODY, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Repository:
    """A bare repository, as GitLab keeps one for each project.

    path, number: how GitLab calls the project
    """

    folder: Path
    path: str
    number: str

    @property
    def address(self) -> str:
        return str(self.folder)

    def head(self, branch: str) -> str:
        """Commit of a branch."""
        return git(self.folder, "rev-parse", f"refs/heads/{branch}").strip()

    def refs(self) -> str:
        """Every branch and tag with its commit."""
        return git(self.folder, "for-each-ref")

    def show(self, branch: str, path: str) -> str:
        """A file of a branch."""
        return git(self.folder, "show", f"{branch}:{path}")

    def subject(self, branch: str) -> str:
        """First line of the newest commit of a branch."""
        return git(self.folder, "log", "-1", "--format=%s", branch).strip()

    def commit(self, branch: str, change: Callable[[Path], None], *, onto: str | None = None) -> None:
        """Somebody's commit on top of a branch, or on top of `onto` where there is no such branch yet."""
        desk = self.folder.with_name(f"{self.folder.name}.desk")
        git(self.folder.parent, "clone", "--quiet", "--branch", onto or branch, self.address, desk.name)
        try:
            change(desk)
            git(desk, "add", "--all")
            git(desk, "commit", "--quiet", "--message", f"somebody's work on {branch}")
            git(desk, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        finally:
            shutil.rmtree(desk)

    def merge(self, branch: str, *, into: str) -> None:
        """What GitLab does when a merge request is merged."""
        desk = self.folder.with_name(f"{self.folder.name}.desk")
        git(self.folder.parent, "clone", "--quiet", "--branch", into, self.address, desk.name)
        try:
            git(desk, "merge", "--quiet", "--no-ff", "--message", f"Merge branch {branch}", f"origin/{branch}")
            git(desk, "push", "--quiet", "origin", f"HEAD:refs/heads/{into}")
        finally:
            shutil.rmtree(desk)


def of_tree(root: Path, bare: Path, *, left_out: tuple[str, ...], change: Callable[[Path], None]) -> None:
    """Make a repository of a working tree as it is, committed or not, without paths that begin as `left_out` says."""
    desk = bare.with_name(f"{bare.name}.desk")
    desk.mkdir()
    for name in git(root, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        made = name.startswith(left_out) and not name.endswith(".gitignore")
        if name and not made and (root / name).is_file():
            (desk / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, desk / name)
    change(desk)
    git(desk, "init", "--quiet", "--initial-branch=main")
    git(desk, "add", "--all")
    git(desk, "commit", "--quiet", "--message=everything")
    git(bare.parent, "clone", "--quiet", "--bare", desk.name, bare.name)
    shutil.rmtree(desk)


def params(desk: Path, change: Callable[[Any], None]) -> None:
    """Change params.yaml of a checkout."""
    path = desk / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    change(tree)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
