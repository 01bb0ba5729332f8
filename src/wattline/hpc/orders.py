"""What is ordered from a scheduler for one piece of work at one site."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.hpc import made
from wattline.hpc.scheduler import Order, Scheduler
from wattline.params import HpcParams, ResourcesParams
from wattline.registry.tracking import commit
from wattline.sites import Profile

JOBS = files.REPORTS / "jobs"
NO_STAGES = re.compile(r"sweep|notebook-.+")
"""Further jobs that `hpc.stages` may speak of."""


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


def misspelt(params: HpcParams, stages: Iterable[str]) -> Iterator[str]:
    """A sentence for each entry of `hpc.stages` that no job would ever look at.

    stages: those of the pipeline
    """
    known = tuple(stages)
    for stage in params.stages:
        if stage not in known and not NO_STAGES.fullmatch(stage):
            choice = ", ".join((*known, "sweep", "notebook-<name>"))
            yield f"params.yaml: hpc.stages names {stage!r}, which is no stage: correct it to one of {choice}"


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
