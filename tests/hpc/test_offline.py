"""Nodes without a way out: what the login node staged is enough for every stage up to the training."""

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from debian import give_up

from hpc import site_project
from hpc.cluster import SECONDS, Cluster
from hpc.site_project import SITE, SiteProject
from hpc.test_namespaces import SCRIPT, can_have_networks

MACHINES = ("machine-1-1", "machine-2-1")
STAGES = ("ingest", "validate", "profile", "prepare", "train")
# Beside the controller, which has no way out either: the publisher's server cannot be reached, and the stages are jobs.
JOBS = """
set -e
if srun -N1 bash -c 'exec 3<> /dev/tcp/127.0.0.1/$PORT' 2> /dev/null; then echo "the node has a way out"; exit 1; fi
for stage in $STAGES; do "$PYTHON" -m wattline run "$stage" --site "$SITE"; done
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[str]:
    """Address of a publisher of the Server Machine Dataset, with a few rows of two machines."""
    folder = tmp_path / "published"
    random = np.random.default_rng(7)
    for machine in MACHINES:
        rows = {"train": random.random((400, 38)), "test": random.random((400, 38)), "test_label": np.zeros((400, 1))}
        rows["test_label"][100:140] = 1
        for part, values in rows.items():
            (folder / part).mkdir(parents=True, exist_ok=True)
            np.savetxt(folder / part / f"{machine}.txt", values, fmt="%g", delimiter=",")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_staged_stages_run_as_jobs_without_a_route_and_are_logged_afterwards(
    slurm_programs: None, home: str, tmp_path: Path
):
    if not can_have_networks():
        give_up("machines of their own network need root, or user namespaces")
    project = site_project.write(tmp_path / "project")
    project.params({
        "ingest": {"source": "smd", "options": {"smd": {"machines": list(MACHINES), "home": home}}},
        "prepare": {"minimum_rows": 50},
        "train": {"model": "pca"},
    })  # fmt: skip
    project.profile(
        stages=list(STAGES), environment={"kind": "none"}, variables={"PYTHONPATH": f"{project.folder}/src"}
    )
    project.locks_of_here()
    said = project.wattline("stage-in", "--site", SITE)
    assert "data: smd: 6 files, " in said
    assert "packages: those of this Python are those of the locks" in said
    assert "sent: " not in run_in_namespaces(project, tmp_path / "machines", home)
    assert len(list((project.folder / ".wattline" / "offline").glob("*.json"))) == 1
    assert "synced: 1 training\n" in project.wattline("sync")
    assert "synced: 0 trainings\n" in project.wattline("sync")
    training = json.loads((project.folder / "reports" / "train.json").read_text())
    assert training["epochs"] >= 1
    shutil.rmtree(project.folder)


def run_in_namespaces(project: SiteProject, folder: Path, home: str) -> str:
    """Run JOBS on a cluster of one node whose network ends at the controller; what it said."""
    machines = Cluster(folder, {"SLURMD_SECONDS": "30"})
    variables = {"PORT": home.rpartition(":")[2], "STAGES": " ".join(STAGES), "SITE": SITE, "WATTLINE_OFFLINE": "1"}
    variables["PYTHON"] = shutil.which("python", path=project.environment["PATH"]) or "python"
    done = subprocess.run(
        [SCRIPT, "run", folder, "1", "bash", "-c", JOBS],
        cwd=project.folder, env=project.environment | variables,
        check=False, capture_output=True, text=True, timeout=6 * SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert machines.processes() == []
    return done.stdout
