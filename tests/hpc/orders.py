"""Orders of jobs as tests hand them in, and the scripts of the shipped profiles as they were read by a person."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wattline import sites
from wattline.hpc import flux_script, script
from wattline.hpc.scheduler import Order
from wattline.params import HpcParams, ResourcesParams
from wattline.sites import Profile

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden")
SITES = tuple(name for name in sites.names(ROOT / sites.FOLDER) if name != sites.LOCAL)


def profile(**values: Any) -> Profile:
    """A site with Slurm whose jobs run in this Python."""
    return Profile(**{"description": "tests", "scheduler": "slurm", "stages": ("train",), **values})


def order(
    root: Path,
    command: Sequence[str],
    site: Profile | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    **resources: Any,
) -> Order:
    """An order of the stage `train`, small enough for the nodes of the tests."""
    folder = root / "reports" / "jobs" / "train"
    return Order(
        stage="train",
        site="test",
        command=command,
        folder=folder,
        root=root,
        token="0123abcd",
        profile=site or profile(),
        resources=ResourcesParams(**{"memory_gib": 0.5, "minutes": 10, **resources}),
        params=HpcParams(**(params or {})),
        variables=variables or {},
    )


def shipped(site: str) -> str:
    """The script of a shipped profile for a project in /project/wattline."""
    found = sites.load(site, ROOT / sites.FOLDER)
    root = Path("/project/wattline")
    wanted = Order(
        stage="train",
        site=site,
        command=["wattline", "run", "train", "--site", "local"],
        folder=root / "reports" / "jobs" / "train",
        root=root,
        token="0123abcd",
        profile=found,
        resources=ResourcesParams(),
        params=HpcParams(),
    )
    return flux_script.flux(wanted) if found.scheduler == "flux" else script.slurm(wanted)


if __name__ == "__main__":  # python -m hpc.orders: after a change that was meant
    for name in SITES:
        (GOLDEN / f"{name}.sh").write_text(shipped(name))
        sys.stdout.write(f"{name}\n")
