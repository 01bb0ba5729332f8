"""A private Slurm for the tests of this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian import install

from hpc.cluster import Cluster, cluster, require_mounts
from wattline.settings import settings

PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "sacct")
SENSOR = "AcctGatherEnergyType=acct_gather_energy/ibmaem\nAcctGatherNodeFreq=1"


@pytest.fixture(scope="session")
def slurm_programs(cache: Path) -> None:
    """Slurm and what its accounting needs. Without root or apt the tests are skipped, except in CI."""
    if not all(shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin") for name in PROGRAMS):
        install(cache, "slurm")


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a developer has set does not get into the scripts."""
    for name in ("WATTLINE_STATE", "WATTLINE_DATA_MIRROR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def metered(slurm_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes with accounting, of which n1 draws 50 W and n2 draws 25 W, whatever they do."""
    require_mounts()
    with cluster(tmp_path_factory.mktemp("metered"), ACCOUNTING="1", EXTRA=SENSOR) as found:
        found.energy_node("n1", 50)
        found.energy_node("n2", 25)
        yield found
