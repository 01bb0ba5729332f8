"""A site's profile held against this host and the cluster, and the scripts that would be submitted."""

from collections.abc import Iterator

from wattline.errors import InputError, UnreachableError
from wattline.hpc.checks import flux, host, slurm
from wattline.hpc.checks.finding import Finding
from wattline.hpc.orders import misspelt, order_of, scheduler_of, stage_command
from wattline.hpc.scheduler import Order
from wattline.params import HpcParams
from wattline.sites import Profile

TOKEN = "0" * 12
"""Of an order that is only shown."""


def orders(profile: Profile, params: HpcParams, *, site: str) -> tuple[Order, ...]:
    """What would be ordered for each stage that is a job at this site."""
    return tuple(
        order_of(
            stage,
            stage_command(stage, TOKEN),
            site=site,
            token=TOKEN,
            profile=profile,
            params=params,
            variables={},
        )
        for stage in profile.stages
    )


def scripts(profile: Profile, params: HpcParams, *, site: str) -> dict[str, str]:
    """Stage -> the script that would be submitted. Raises InputError where none can be written."""
    if profile.scheduler == "local":
        return {}
    scheduler = scheduler_of(profile)
    return {order.stage: scheduler.render(order) for order in orders(profile, params, site=site)}


def findings(profile: Profile, params: HpcParams, *, site: str, stages: tuple[str, ...]) -> Iterator[Finding]:
    """All that is missing, in the order in which a person would mend it.

    site: whose profile it is
    stages: those of the pipeline
    """
    for sentence in misspelt(params, stages):
        yield Finding("hpc.stages", sentence)
    if profile.scheduler == "local":
        return
    try:
        written = scripts(profile, params, site=site)
    except InputError as error:
        yield Finding("script", str(error))
        written = {}
    asked = flux if profile.scheduler == "flux" else slurm
    seen = True
    try:
        yield from asked.findings(profile, orders(profile, params, site=site), written)
    except (InputError, UnreachableError) as error:
        seen = False
        yield Finding("scheduler", str(error))
    yield from host.findings(profile, elsewhere=seen and asked.elsewhere())
