"""train: several processes that a signal ends go on from one checkpoint, as many or as few as there are then."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stages.conftest import ROOT
from wattline import files

SECONDS = 240.0
SMALL = {"channels": 4, "kernel": 3, "epochs": 10, "batch": 64, "patience": 10, "windows_per_epoch": 256, "shards": 2}


@pytest.fixture
def small(project):
    """The project's own params.yaml, with a convolution that trains for some seconds."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["task"]["folder"] = str(ROOT / tree["task"]["folder"])
    train = tree["node_anomaly"]["train"]
    train |= {"model": "convolution", "convolution": train["convolution"] | SMALL}
    (project / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return project


def start(count: int) -> list[subprocess.Popen[str]]:
    """`wattline run train` in so many processes that know of each other."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WATTLINE_OFFLINE": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    environment = inherited | shared | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "wattline", "run", "train"]
    return [
        subprocess.Popen(
            command, env=environment | {"RANK": str(rank)}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for rank in range(count)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
    said = [process.communicate(timeout=SECONDS)[1] for process in processes]
    return [process.returncode for process in processes], "\n".join(said)


def test_two_processes_of_which_one_is_told_pause_together_and_one_ends_in_the_same_weights(small):
    codes, said = ended(start(1))
    assert codes == [0], said
    undisturbed = files.digests(files.CANDIDATE), Path("reports/train/curves.csv").read_bytes()
    processes = start(2)
    deadline = time.monotonic() + SECONDS
    # They have met, and have not made a step yet.
    while not any('"1":' in path.read_text() for path in Path(".wattline/checkpoints").glob("*/attempt-0001/*.json")):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGUSR1)
    codes, said = ended(processes)
    assert codes == [75, 75], said
    assert len(list(Path(".wattline/checkpoints").glob("*/attempt-0001/step-*.safetensors"))) == 1
    codes, said = ended(start(1))
    assert codes == [0], said
    assert (files.digests(files.CANDIDATE), Path("reports/train/curves.csv").read_bytes()) == undisturbed
