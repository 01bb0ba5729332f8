"""A DVC project that runs in a second, its remote and its clones, as jobs of a pipeline see them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wattline.gitlab import repro
from wattline.settings import Settings

ROOT = Path(__file__).parents[2]
NAMES = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
PLAIN = dict.fromkeys(NAMES, "tests") | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "DVC_NO_ANALYTICS": "1",
    "SHELL": "/bin/sh",
}

WIRING = """\
stages:
  ingest:
    cmd:
      - mkdir -p data/raw && cat source.txt params.yaml > data/raw/rows.txt
      - md5sum < data/raw/rows.txt > reports/ingest.json
    deps: [source.txt]
    params: [rows]
    outs: [data/raw]
    metrics: [reports/ingest.json: {cache: false}]
  train:
    cmd:
      - mkdir -p models reports/train && sh train.sh
      - md5sum < data/raw/rows.txt > models/candidate && cat train.sh >> models/candidate
      - date +%N > reports/joules.json && echo 1 > reports/train/curve.csv
    deps: [data/raw, train.sh]
    params: [epochs]
    outs: [models/candidate]
    metrics: [reports/joules.json: {cache: false, meta: {measured: true}}]
    plots: [reports/train: {cache: false}]
  decide:
    cmd: cat models/candidate reports/joules.json > reports/decide.json && echo card > reports/card.md
    deps: [models/candidate, reports/joules.json]
    metrics: [reports/decide.json: {cache: false, meta: {measured: true}}]
    outs: [reports/card.md: {cache: false}]
"""
FILES = {
    "dvc.yaml": WIRING,
    "params.yaml": "rows: 1\nepochs: 1\nunused: 1\n",
    "source.txt": "rows\n",
    "train.sh": "echo training\n",
    "README.md": "read me\n",
    ".gitignore": "/data/raw\n/models/candidate\n",
    "reports/.gitkeep": "",
}


@dataclass(frozen=True)
class Clone:
    """A clone, with DVC's site folder of its own, so that it knows nothing that the remote did not tell it."""

    folder: Path
    remote: Path | None

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CI_", "WATTLINE_", "GIT_"))}
        shared = {} if self.remote is None else {"WATTLINE_DVC_REMOTE": str(self.remote)}
        path = {"PYTHONPATH": str(ROOT / "src"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return kept | PLAIN | path | shared | {"DVC_SITE_CACHE_DIR": f"{self.folder}.site"} | more

    def repro(self, *targets: str, outputs: bool = False) -> tuple[int, str]:
        """`wattline ci repro` in this process; exit code, and what it said."""
        lines: list[str] = []
        with inside(self) as known:
            code = repro.repro(targets, known, outputs=outputs, say=lines.append)
        return code, "\n".join(lines)

    def wattline(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run `wattline ci ...`: exit code, and what it said."""
        process = self.start(*arguments, **variables)
        said, _ = process.communicate()
        return process.returncode, said

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "wattline", "ci", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def commit(self, message: str = "change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def write(self, **contents: str) -> None:
        """Files by name, with __ for a slash and _dot_ for a dot."""
        for name, content in contents.items():
            write(self.folder, name.replace("__", "/").replace("_dot_", "."), content)

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


def write(folder: Path, path: str, content: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | PLAIN
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip("\n")


def project(folder: Path, *, remote: Path | None, files: dict[str, str] = FILES) -> Clone:
    """A repository of one commit."""
    for name, content in files.items():
        write(folder, name, content)
    write(folder, ".dvc/config", "[core]\n    analytics = false\n")
    write(folder, ".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    made = Clone(folder, remote)
    made.commit("everything")
    return made


def clone(origin: Path, folder: Path, *, remote: Path | None, branch: str = "main") -> Clone:
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(folder.parent, "clone", "--quiet", "--branch", branch, f"file://{origin}", str(folder))
    return Clone(folder, remote)


@contextmanager
def inside(one: Clone, **variables: str) -> Iterator[Settings]:
    """This process as a job in a clone; the settings of that job."""
    former, before = Path.cwd(), dict(os.environ)
    environment = one.environment(**variables)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(one.folder)
    try:
        yield Settings()
    finally:
        os.chdir(former)
        os.environ.clear()
        os.environ.update(before)
