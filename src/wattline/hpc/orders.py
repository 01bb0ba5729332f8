"""What is ordered from a scheduler for one piece of work at one site."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.hpc import made
from wattline.hpc.scheduler import Order, Scheduler
from wattline.params import HpcParams, ResourcesParams
from wattline.registry.tracking import commit
from wattline.sites import Profile

JOBS = files.REPORTS / "jobs"


def folder_of(name: str) -> Path:
    """Where script, log, exit code and record of the job of a stage lie."""
    return (JOBS / name).resolve()


def kept_in(order: Order) -> Path:
    """Where a job keeps its outputs until they are taken over."""
    return order.folder / made.FOLDER / order.token


def new_token() -> str:
    return secrets.token_hex(6)


def stage_command(stage: str, token: str) -> list[str]:
    """What runs in the job of a stage."""
    kept = JOBS / stage / made.FOLDER / token
    return ["wattline", "run", stage, "--site", "local", "--keep", str(kept)]


def order_of(
    name: str,
    command: Sequence[str],
    *,
    site: str,
    token: str,
    profile: Profile,
    params: HpcParams,
    variables: Mapping[str, str],
    array: str = "",
) -> Order:
    """The order of one job; what `hpc.stages` in params.yaml leaves open, the profile says."""
    wanted = params.stages.get(name, ResourcesParams()).model_dump(exclude_none=True)
    return Order(
        stage=name,
        site=site,
        command=command,
        folder=folder_of(name),
        root=Path.cwd(),
        token=token,
        profile=profile,
        resources=profile.resources.model_copy(update=wanted),
        params=params,
        variables={"WATTLINE_COMMIT": commit(), **variables},
        array=array,
    )


def scheduler_of(profile: Profile) -> Scheduler:
    """Who takes the jobs of a site. Raises InputError for the scheduler `local`, which takes none."""
    if profile.scheduler == "slurm":
        from wattline.hpc.slurm import Slurm

        return Slurm()
    if profile.scheduler == "flux":
        from wattline.hpc.flux import Flux

        return Flux()
    raise InputError("the site has no scheduler (scheduler: local), so there are no jobs to follow or to cancel")
