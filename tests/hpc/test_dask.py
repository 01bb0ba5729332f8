"""Workers as jobs of a real Slurm: the same bytes, a cancelled worker costs nothing but time, and none stays."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpc.cluster import SECONDS, Cluster, cluster
from wattline import files
from wattline.params import IngestParams
from wattline.stages import ingest

ROOT = Path(__file__).parents[2]
UNTOLD = "not-for-" + "a-job"
STAGE = Path(__file__).with_name("dask_stage.py")


@pytest.fixture(scope="module")
def slurm(slurm_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes of two CPUs."""
    with cluster(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `ingest`. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("ingested")
    simulator = {"nodes": 4, "nodes_per_rack": 2, "days": 0.4}
    with contextlib.chdir(folder):
        ingest.run(ingest=IngestParams(source="simulator", options={"simulator": simulator}), seed=7)
    shutil.copy(STAGE, folder)
    return folder


class Project:
    """A project of a site whose workers are jobs."""

    def __init__(self, folder: Path, slurm: Cluster) -> None:
        self.folder = folder
        self.slurm = slurm

    def site(self, **changes: Any) -> None:
        workers = {"workers": 2, "jobs": True, "memory_gib": 1.0, "interface": "lo"}
        profile = {
            "description": "a private Slurm",
            "scheduler": "slurm",
            "variables": {"PYTHONPATH": f"{ROOT / 'src'}", "HERE": str(self.folder)},
            "scratch": "$HERE/of a worker",
            "dask": workers,
        }
        files.write_text(self.folder / "deploy/sites/private.yaml", yaml.safe_dump(profile | changes))

    def start(self, site: str = "private") -> "subprocess.Popen[str]":
        paths = f"{self.folder}:{ROOT / 'src'}"
        return subprocess.Popen(
            [sys.executable, "-m", "dask_stage"],
            cwd=self.folder,
            env=self.slurm.environment | {"WATTLINE_SITE": site, "PYTHONPATH": paths, "A_TOKEN": UNTOLD},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, site: str = "private") -> tuple[int, str]:
        """Exit code, and what it said."""
        process = self.start(site)
        said, _ = process.communicate(timeout=SECONDS * 3)
        return process.returncode, said

    def jobs(self) -> list[str]:
        """Jobs of workers that wait or run."""
        return [
            line
            for line in self.slurm.run("squeue", "--noheader", "--format=%i %j %T").splitlines()
            if "workers" in line and "COMPLETING" not in line
        ]

    def working(self) -> dict[str, str]:
        """Unit -> the job that works on it."""
        return {path.name.removeprefix("at-"): path.read_text() for path in self.folder.glob("at-*")}


@pytest.fixture
def project(slurm: Cluster, ingested: Path, tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    shutil.copytree(ingested, folder)
    found = Project(folder, slurm)
    found.site()
    yield found
    wait_for(lambda: not found.jobs(), "no job of a worker stays")


def wait_for(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_cancelled_worker_costs_time_and_nothing_else(project: Project):
    (project.folder / "hold").touch()
    process = project.start()
    wait_for(lambda: len(set(project.working().values())) == 2, "two jobs work at the same time")
    project.slurm.run("scancel", next(iter(project.working().values())))
    (project.folder / "hold").unlink()
    said, _ = process.communicate(timeout=SECONDS * 3)
    assert process.returncode == 0, said
    assert not project.jobs()
    assert not list((project.folder / ".wattline" / "workers").iterdir()), "logs and the certificate stay"
    for path in project.folder.glob("environment-*"):
        assert UNTOLD not in path.read_text()
        assert f"'TMPDIR': '{project.folder}/of a worker/wattline-" in path.read_text()
    assert not list((project.folder / "of a worker").iterdir())
    parallel = files.digests(project.folder / "data"), (project.folder / "reports/prepare.json").read_bytes()
    shutil.rmtree(project.folder / "data" / "prepared")
    assert project.run(site="local")[0] == 0
    assert (files.digests(project.folder / "data"), (project.folder / "reports/prepare.json").read_bytes()) == parallel


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_stage_its_jobs_end_too(project: Project, number: signal.Signals):
    (project.folder / "hold").touch()
    process = project.start()
    wait_for(project.working, "a worker works")
    os.kill(process.pid, number)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == -number, said
    if number != signal.SIGKILL:
        assert not project.jobs()
        assert [path.name for path in (project.folder / "data").iterdir()] == ["raw"]
    (project.folder / "hold").unlink()
    wait_for(lambda: not project.jobs(), "workers whose stage is dead end by themselves")


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"partition": "nowhere"}, "invalid partition"),
        ({"scheduler": "flux"}, "dask.jobs needs the scheduler slurm, not flux"),
    ],
)
def test_what_slurm_refuses_is_one_line(project: Project, changes: dict[str, Any], remedy: str):
    project.site(**changes)
    code, said = project.run()
    assert (code, len(said.splitlines())) == (2, 1), said
    assert remedy in said
    assert "deploy/sites/private.yaml" in said


def test_jobs_that_end_at_once_are_given_up(project: Project):
    project.site(environment={"kind": "venv", "path": "/absent"})
    code, said = project.run()
    assert code == 1, said
    assert "jobs of workers ended before they gave a result; their logs are in" in said
    logs = next((project.folder / ".wattline" / "workers").iterdir())
    assert any("there is no virtual environment at /absent" in path.read_text() for path in logs.glob("*.err"))
    assert not list(logs.glob(".dask-jobqueue*")), "the certificate stays"
