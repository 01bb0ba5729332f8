"""A DVC project that ran, with its remote, in which a test may damage whatever it likes."""

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from gitlab import tiny
from gitlab.tiny import Clone

from wattline import objects
from wattline.gitlab import dvc_remote
from wattline.remotes import pushing, verifying
from wattline.settings import Settings
from wattline.verification.verdict import Verdict

WIRING = """\
stages:
  ingest:
    cmd:
      - mkdir -p data/raw/rack && for n in 1 2 3; do echo rows of $n > data/raw/rack/node-$n; done
      - echo 3 > reports/ingest.json
    deps: [source.txt, data/external]
    outs: [data/raw]
    metrics: [reports/ingest.json: {cache: false}]
  train:
    cmd: mkdir -p models && cat data/raw/rack/* data/external/site.csv > models/candidate
    deps: [data/raw, data/external]
    outs: [models/candidate]
"""
FILES = {
    "dvc.yaml": WIRING,
    "params.yaml": "{}\n",
    "source.txt": "rows\n",
    ".dvcignore": "*.swp\n",
    ".gitignore": "/data/raw\n/data/external/site.csv\n/models/candidate\n",
    "data/external/site.csv": "node,rack\n1,1\n",
    "reports/.gitkeep": "",
}
OBJECTS = 6
"""Three nodes and their listing, the candidate, and what was added by hand."""


@dataclass
class Project:
    """A clone, as a person at a terminal sees it."""

    clone: Clone
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.clone.folder

    @property
    def remote(self) -> Path:
        assert self.clone.remote is not None
        return self.clone.remote

    def verify(self, *targets: str, remote: str | None = None) -> Verdict:
        """`wattline data verify` in this process."""
        with tiny.inside(self.clone, **self.variables) as known:
            return verifying.verify(targets, known, remote=remote)

    def push(self, *targets: str, remote: str | None = None) -> str:
        """`wattline push`; what it said."""
        lines: list[str] = []
        with tiny.inside(self.clone, **self.variables) as known:
            pushing.push(targets, known, remote=remote, say=lines.append)
        return "\n".join(lines)

    def settings(self) -> Settings:
        with tiny.inside(self.clone, **self.variables) as known:
            return known

    def dvc(self, *arguments: str) -> None:
        """DVC's own command line, in this process: its import costs more than all that it does."""
        from dvc.cli import main

        with tiny.inside(self.clone, **self.variables):
            code = main(list(arguments))
        assert code == 0, arguments

    def cached(self, path: str) -> Path:
        """The object of the cache for a file here."""
        return self.cache().object(objects.file_digest(self.folder / path))

    def listing(self, path: str) -> Path:
        """The object that lists a folder here."""
        return self.cache().object(objects.digest(self.folder / path))

    def sent(self, found: Path) -> Path:
        """The same object in the remote."""
        return self.remote / found.relative_to(self.cache().folder)

    def cache(self) -> objects.Cache:
        return objects.Cache(self.folder / ".dvc/cache")

    def lock(self) -> dict[str, object]:
        return dict(yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"])


def made(folder: Path) -> Project:
    """A project in which both stages ran and a file was added by hand; nothing was sent yet."""
    (folder / "remote").mkdir(parents=True)
    project = Project(tiny.project(folder / "one", remote=folder / "remote", files=FILES))
    project.dvc("add", "--quiet", "data/external/site.csv")
    project.dvc("repro", "--quiet")
    project.clone.commit()
    return project


def copied(project: Project, folder: Path) -> Project:
    """A copy to be damaged, with its remote."""
    shutil.copytree(project.folder, folder / "one", symlinks=True)
    shutil.copytree(project.remote, folder / "remote")
    found = Project(Clone(folder / "one", folder / "remote"))
    with tiny.inside(found.clone) as known:
        dvc_remote.configure(known)
    return found


def damage(path: Path, content: bytes | None = None) -> None:
    """Change bytes, and neither length, mode nor time: what a disk does, and what DVC does not notice."""
    before = path.stat()
    was = path.read_bytes()
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    path.write_bytes(bytes([was[0] ^ 1]) + was[1:] if content is None else content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
