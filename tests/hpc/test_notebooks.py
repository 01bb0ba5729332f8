"""`wattline notebook NAME --site S` on a real Slurm: the same bytes as here, the cell that failed, no kernel left."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebooks.conftest import ingested  # noqa: F401  # a fixture
from notebooks.test_running import running, wait_until

from hpc.cluster import Cluster
from hpc.project import Project
from notebooks import conftest as here

ROOT = Path(__file__).parents[2]
PARAMETERS = ("-p", "unit=node-0001", "-p", "hours=3")


@pytest.fixture
def project(metered: Cluster, ingested: Path, tmp_path: Path) -> Iterator[Project]:  # noqa: F811
    """Rows, notebooks and a site."""
    folder = tmp_path / "project"
    shutil.copytree(ingested, folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    found = Project(folder, metered)
    found.write(hpc={"stages": {"notebook-exploration": {"minutes": 7}}})
    yield found
    found.close()


def write(project: Project, name: str, *cells: str) -> None:
    here.Project(project.folder).write(name, *cells)


def test_a_notebook_is_the_same_bytes_as_a_job(project: Project):
    made = project.folder / "reports" / "notebooks"
    found = []
    for site in ("local", "test"):
        shutil.rmtree(made, ignore_errors=True)
        submitter = project.wattline("notebook", "exploration", *PARAMETERS, "--site", site)
        assert submitter.ends() == 0, submitter.said
        found.append({path.name: path.read_bytes() for path in made.iterdir()})
    assert set(found[0]) == {"exploration.ipynb", "exploration.html"}
    assert found[0] == found[1]
    record = project.record("notebook-exploration")
    assert (record["state"], record["collected"]) == ("COMPLETED", True)
    assert project.cluster.details(record["job"])["TimeLimit"] == "00:07:00"


def test_a_cell_that_fails_in_a_job_is_named_here_and_its_copy_kept(project: Project):
    write(project, "broken", "print('first')", "raise ValueError('of this cell')")
    submitter = project.wattline("notebook", "broken", "--site", "test")
    assert submitter.ends() == 1, submitter.said
    assert "of this cell" in submitter.said.splitlines()[-1]
    assert "Traceback" not in submitter.said
    assert (project.folder / "reports" / "notebooks" / "broken.html").is_file()


def test_a_parameter_that_is_not_known_is_refused_before_anything_is_submitted(project: Project):
    submitter = project.wattline("notebook", "exploration", "-p", "month=3", "--site", "test")
    assert submitter.ends() == 2, submitter.said
    assert "month" in submitter.said
    assert not (project.folder / "reports" / "jobs").exists()


def test_no_kernel_outlives_a_notebook_that_is_cancelled_with_its_submitter(project: Project):
    write(
        project,
        "long",
        "import os, pathlib, time\npathlib.Path('pid').write_text(f'{os.getpid()}\\n')",
        "time.sleep(3600)",
    )
    submitter = project.wattline("notebook", "long", "--site", "test")
    path = project.folder / "pid"
    wait_until(lambda: path.is_file() and path.read_text().endswith("\n"))
    assert submitter.send(signal.SIGTERM) == 143, submitter.said
    assert project.record("notebook-long")["state"] == "CANCELLED"
    kernel = int(path.read_text())
    wait_until(lambda: not running(kernel))
