"""Energy of a job of its own nodes, from Slurm's accounting or EAR: of all its attempts, or the reason why not."""

from collections.abc import Sequence

from wattline.energy.meters import MeterError
from wattline.energy.meters.accounting import step_energies
from wattline.energy.meters.ear import step_energy
from wattline.hpc.scheduler import Look
from wattline.records import Energy
from wattline.sites import Profile

STEP = "0"
"""The one `srun` of the script."""
WAIT_SECONDS = 60.0


def of_job(look: Look, profile: Profile) -> tuple[Energy | None, str]:
    """The energy of a job that has ended, or why it was not measured. What is missing never counts as 0."""
    if profile.energy == "none":
        return None, "the site's profile says energy: none"
    if not look.nodes:
        return None, f"job {look.job} never ran"
    try:
        if profile.energy == "slurm":
            return total(step_energies(look.job, STEP, timeout_seconds=WAIT_SECONDS)), ""
        if look.restarts:
            return None, f"EAR does not tell the {look.restarts + 1} attempts of job {look.job} apart"
        return step_energy(look.job, STEP, nodes=len(look.nodes), timeout_seconds=WAIT_SECONDS), ""
    except MeterError as error:
        return None, str(error)


def total(attempts: Sequence[Energy]) -> Energy:
    """Sum over attempts; their errors are taken to go the same way, which makes the interval no narrower than it is."""
    if len(attempts) == 1:
        return attempts[0]
    shares = {f"attempt {number}": f"{one.joules:.6g} J" for number, one in enumerate(attempts, start=1)}
    boundaries = list(dict.fromkeys(one.boundary for one in attempts))
    return attempts[-1].model_copy(
        update={
            "joules": sum(one.joules for one in attempts),
            "interval": (sum(one.interval[0] for one in attempts), sum(one.interval[1] for one in attempts)),
            "seconds": sum(one.seconds for one in attempts),
            "boundary": "; then ".join(boundaries),
            "parameters": {**attempts[-1].parameters, **shares},
        }
    )
