"""A copy of this project as it lies on a site's file system: small data, a profile of its own, and commands in it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COPIED = ("src", "requirements", "deploy/sites", "data/external", "data/snapshots", "dvc.yaml", "Makefile", "docker")
SITE = "boxed"
CLUSTER = {"nodes": 3, "nodes_per_rack": 2, "days": 0.4}
NETWORK = {"channels": 4, "kernel": 3, "epochs": 2, "batch": 64, "windows_per_epoch": 256}
SECONDS = 600.0
SMALL = {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 1, "memory_gib": 2.0, "minutes": 10, "exclusive": False}


class SiteProject:
    """The project in `folder`.

    environment: of every command; nothing of who runs the tests decides what they do
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        dropped = ("WATTLINE_", "MLFLOW_", "SLURM_", "SBATCH_", "CI")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": str(folder / "src"),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "OMP_NUM_THREADS": "1",
            **variables,
        }

    def run(self, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """A command in the folder. What it makes may be written by all: a job may run as another user."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, text=True, capture_output=True, check=False,
            timeout=SECONDS, umask=0,
        )  # fmt: skip

    def wattline(self, *arguments: str, **variables: str) -> str:
        """What a verb says. It must end well."""
        done = self.run(sys.executable, "-m", "wattline", *arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def profile(self, **keys: Any) -> None:
        """Write the profile of SITE: a Slurm without a way out."""
        tree = {"description": "a test", "scheduler": "slurm", "stages": ["train"], "resources": SMALL, **keys}
        (self.folder / "deploy" / "sites" / f"{SITE}.yaml").write_text(yaml.safe_dump(tree))

    def locks_of_here(self) -> None:
        """Locks that the Python of the tests keeps, however it was installed."""
        pinned = [f"{name}=={metadata.version(name).partition('+')[0]}\n" for name in ("numpy", "torch")]
        for name, text in zip(("core", "torch-cpu"), pinned, strict=True):
            (self.folder / "requirements" / f"{name}.lock").write_text(text)

    def params(self, changes: Mapping[str, Any]) -> None:
        """Lay `changes` over sections of the task, and leave to the profile what jobs need."""
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        tree["hpc"] = {"notice_seconds": 30}
        for section, values in changes.items():
            tree["node_anomaly"][section] |= values
        (self.folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


def write(folder: Path, **variables: str) -> SiteProject:
    """Copy the project into `folder`, with rows of three simulated nodes and a small network."""
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copyfile(ROOT / name, folder / name)
    found = SiteProject(folder, **variables)
    found.params({
        "ingest": {"source": "simulator", "options": {"simulator": CLUSTER}},
        "prepare": {"minimum_rows": 50},
        "train": {"model": "convolution", "convolution": NETWORK | {"learning_rate": 0.01, "patience": 2}},
    })  # fmt: skip
    found.profile()
    done = found.run(sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet")
    assert done.returncode == 0, done.stderr
    return found


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A folder that every user may enter and write, with one for a cluster: pytest's own are for who runs it."""
    # An image has as many files as a disk takes minutes to delete.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3
    folder = Path(tempfile.mkdtemp(prefix="wattline-site-", dir=memory if roomy else None))
    folder.chmod(0o777)
    (folder / "slurm").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
