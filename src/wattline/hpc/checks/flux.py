"""What a profile needs of a Flux instance."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wattline.errors import UnreachableError
from wattline.hpc.checks.finding import Finding
from wattline.hpc.commands import call
from wattline.hpc.scheduler import Order
from wattline.sites import Profile


def findings(profile: Profile, orders: Sequence[Order], scripts: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing. Raises InputError where Flux is not installed, UnreachableError where it does not answer."""
    answer = call(("flux", "uptime"))
    if answer.code:
        raise UnreachableError(f"Flux does not answer: {answer.complaint}; go to a login node of the system")
    for order in orders:
        wanted = order.resources
        if wanted.memory_gib is not None:
            says = "Flux takes no request for memory: the site decides, and memory_gib has no effect"
            yield Finding(f"hpc.stages.{order.stage}", says, missing=False)
    if profile.energy != "none":
        yield Finding("energy", "joules of a job are read from Slurm or EAR and Flux has none; set energy to none")
    for stage, script in scripts.items():
        yield from _trial(stage, script)


def elsewhere() -> bool:
    """Whether some node is another machine. Flux is not asked: its nodes are."""
    return True


def _trial(stage: str, script: str) -> Iterator[Finding]:
    """What `flux batch` itself would refuse; nothing is submitted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(script)
        answer = call(("flux", "batch", "--dry-run", str(path)))
    if answer.code:
        yield Finding(f"hpc.stages.{stage}", f"Flux would refuse the script: {answer.complaint}")
