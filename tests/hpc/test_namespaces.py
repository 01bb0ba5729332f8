"""The cluster of namespaces has machines that lose their power or their cable, and leaves nothing at the end."""

import os
import subprocess
from pathlib import Path

import pytest
from debian import give_up

from hpc.cluster import SECONDS, Cluster

SCRIPT = Path(__file__).with_name("namespaces.sh")
# States of n2 as slurmctld sees it while its cable is pulled and put back, and after a power loss.
EXPERIMENT = """
state() {
    for _ in $(seq 300); do
        if [[ "$(sinfo -h -n n2 -o %T)" == $1 ]]; then echo "$2"; return; fi
        sleep 0.1
    done
    echo "n2 is $(sinfo -h -n n2 -o %T)"
}
srun -N2 bash -c 'echo "process $SLURM_PROCID on $(hostname)"'
node_cut n2
state 'down*' 'cut: down'
node_join n2
state 'idle' 'joined: idle'
node_kill n2
state 'down*' 'killed: down'
node_start n2
state 'idle' 'started: idle'
"""


def can_have_networks() -> bool:
    arguments = ["--net"] if os.getuid() == 0 else ["--user", "--map-current-user", "--net"]
    return subprocess.run(["unshare", *arguments, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_machines_lose_their_cable_and_their_power(slurm_programs: None, tmp_path: Path):
    if not can_have_networks():
        give_up("machines of their own network need root, or user namespaces")
    found = Cluster(tmp_path, {"SLURMD_SECONDS": "3"})
    done = subprocess.run(
        [SCRIPT, "run", tmp_path, "2", "bash", "-c", EXPERIMENT],
        env=found.environment, check=False, capture_output=True, text=True, timeout=2 * SECONDS,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert sorted(lines[:2]) == ["process 0 on n1", "process 1 on n2"], done.stdout + done.stderr
    assert lines[2:] == ["cut: down", "joined: idle", "killed: down", "started: idle"], done.stdout + done.stderr
    assert found.processes() == []
