"""A site's profile held against this host and the cluster, and the scripts that would be submitted."""

from collections.abc import Iterator
from pathlib import Path

from wattline.errors import InputError, UnreachableError
from wattline.hpc.checks import flux, host, slurm
from wattline.hpc.checks.finding import Finding
from wattline.hpc.flux_script import flux as flux_script
from wattline.hpc.preparing import filled
from wattline.hpc.scheduler import Order
from wattline.hpc.script import slurm as slurm_script
from wattline.params import HpcParams, ResourcesParams
from wattline.sites import Profile

TOKEN = "0" * 12
"""Of an order that is only shown."""


def orders(profile: Profile, params: HpcParams) -> tuple[Order, ...]:
    """What would be ordered for each stage that is a job at this site."""
    return tuple(
        Order(
            stage=stage,
            command=["wattline", "run", stage, "--site", "local"],
            folder=Path("reports/jobs") / stage,
            root=Path.cwd(),
            token=TOKEN,
            profile=profile,
            resources=filled(params.stages.get(stage, ResourcesParams()), profile.resources),
            params=params,
        )
        for stage in profile.stages
    )


def scripts(profile: Profile, params: HpcParams) -> dict[str, str]:
    """Stage -> the script that would be submitted. Raises InputError where none can be written."""
    render = flux_script if profile.scheduler == "flux" else slurm_script
    return {} if profile.scheduler == "local" else {one.stage: render(one) for one in orders(profile, params)}


def findings(profile: Profile, params: HpcParams, *, stages: tuple[str, ...]) -> Iterator[Finding]:
    """All that is missing, in the order in which a person would mend it.

    stages: those of the pipeline
    """
    for stage in params.stages:
        if stage not in stages:
            known = ", ".join(stages)
            yield Finding("hpc.stages", f"params.yaml names {stage!r}, which is no stage: correct it to one of {known}")
    if profile.scheduler == "local":
        return
    try:
        written = scripts(profile, params)
    except InputError as error:
        yield Finding("script", str(error))
        written = {}
    asked = flux if profile.scheduler == "flux" else slurm
    seen = True
    try:
        yield from asked.findings(profile, orders(profile, params), written)
    except (InputError, UnreachableError) as error:
        seen = False
        yield Finding("scheduler", str(error))
    yield from host.findings(profile, elsewhere=seen and asked.elsewhere())
