"""Processes that srun started, on one node or on two, end in the weights of one process to the bit."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from parallel.launching import LEARNING, free_port
from parallel.learning import Stops, digest, learn, options

from hpc.cluster import Cluster, cluster

ROOT = Path(__file__).parents[2]
# Of the job: what it is given besides its place, which srun tells each process.
SCRIPT = """
export PYTHONPATH={path} MASTER_PORT={port} CHECKPOINT={checkpoint} {more}
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun --label {python} {program} {output}
"""
LAYOUTS = {"1x2": ("-N1", "-n2"), "2x1": ("-N2", "-n2", "--ntasks-per-node=1")}


@pytest.fixture(scope="module")
def nodes(slurm_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes whose names are addresses, as each is found by its name on a real cluster."""
    with cluster(tmp_path_factory.mktemp("nodes"), NODE_PREFIX="127.0.0.1") as found:
        yield found


@pytest.fixture(scope="module")
def alone() -> str:
    return digest(learn(options()))


def submit(nodes: Cluster, layout: str, folder: Path, *, more: str = "") -> str:
    script = SCRIPT.format(
        path=f"{ROOT / 'src'}:{ROOT / 'tests'}", port=free_port(), checkpoint=folder / "checkpoint.npz", more=more,
        python=sys.executable, program=LEARNING, output=folder / "learned",
    )  # fmt: skip
    return nodes.submit("--mem-per-cpu=1500", *LAYOUTS[layout], script=script)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_processes_end_in_the_weights_of_one_wherever_they_run(nodes, alone, tmp_path, layout):
    job = submit(nodes, layout, tmp_path)
    state, said = nodes.wait(job)["JobState"], sorted(nodes.output(job).splitlines())
    assert state == "COMPLETED", said
    assert [line.split()[:2] for line in said] == [["0:", alone], ["1:", alone]]


def test_what_two_nodes_began_one_process_ends(nodes, alone, tmp_path):
    job = submit(nodes, "2x1", tmp_path, more="STOP=5 STOP_RANK=1")
    nodes.wait(job)
    assert sorted(line for line in nodes.output(job).splitlines() if "paused" in line) == ["0: paused", "1: paused"]
    stopped = Stops(path=tmp_path / "checkpoint.npz")
    assert stopped.newest().step == 5
    assert digest(learn(options(), checkpoints=stopped)) == alone
