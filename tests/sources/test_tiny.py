"""The tiny dataset is the same one for everybody: in every process, for every seed, without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wattline import partitions
from wattline.errors import InputError
from wattline.sources import open_source

ROWS = {
    "node-0000": "fe8ca2e0c48bf7ba",
    "node-0001": "0ae1e43825048479",
    "node-0002": "d5bbad323ac66d4e",
}
"""Beginning of the SHA-256 of the rows of each unit: whoever changes it changes every test that leans on them."""
ELSEWHERE = """
import socket

def refuse(*arguments, **options):
    raise SystemExit("something asked for the network")

socket.socket.connect = socket.getaddrinfo = refuse
from tests.sources.test_tiny import found
print(found(seed=99))
"""


def found(*, seed: int) -> dict[str, str]:
    units = open_source("tiny", {}, seed=seed).units
    return {unit.series.unit: partitions.rows_digest(unit.series)[:16] for unit in units}


@pytest.mark.parametrize("seed", [7, 8])
def test_its_rows_are_the_pinned_ones_whatever_the_seed(seed: int):
    assert found(seed=seed) == ROWS


def test_another_process_has_the_same_rows_and_asks_nobody():
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": paths, "TZ": "Asia/Kathmandu"}
    command = [sys.executable, "-c", ELSEWHERE]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert answer.stdout.strip() == str(ROWS), answer.stderr


def test_there_is_nothing_to_choose():
    with pytest.raises(InputError, match=r"params.yaml: ingest.options.tiny.nodes is not a known key"):
        open_source("tiny", {"nodes": 5}, seed=7)


def test_it_is_a_part_of_the_simulated_cluster_and_says_so():
    source = open_source("tiny", {}, seed=7)
    assert source.name == "tiny"  # its snapshots are no part of the cluster's
    assert (source.home, source.licence, source.labelled, source.unit_count) == ("generated", "CC0-1.0", True, 3)
    assert all(len(unit.series.timestamps) > 500 for unit in source.units)
