"""Energy of a job of its own nodes, from Slurm's accounting or EAR: of all its attempts, or the reason why not."""

from collections.abc import Sequence

from wattline.energy.meters import MeterError
from wattline.energy.meters.accounting import step_energies
from wattline.energy.meters.ear import step_energy
from wattline.hpc.scheduler import Look, Order
from wattline.records import Energy

STEP = "0"
"""The one `srun` of the script."""
WAIT_SECONDS = 60.0


def of_job(look: Look, order: Order) -> tuple[Energy | None, str]:
    """The energy of a job that has ended, or why it was not measured. What is missing never counts as 0."""
    if reason := _beyond(look, order):
        return None, reason
    try:
        if order.profile.energy == "ear":
            return step_energy(look.job, STEP, nodes=len(look.nodes), timeout_seconds=WAIT_SECONDS), ""
        return total(step_energies(look.job, STEP, timeout_seconds=WAIT_SECONDS)), ""
    except MeterError as error:
        return None, str(error)


def _beyond(look: Look, order: Order) -> str:
    """Why nobody can be asked; nothing where somebody can."""
    if order.profile.energy == "none":
        return "the site's profile says energy: none"
    if not look.nodes:
        return f"job {look.job} never ran"
    if order.array:
        return "the tasks of an array are not added up"
    if order.profile.energy == "ear" and look.restarts:
        return f"EAR does not tell the {look.restarts + 1} attempts of job {look.job} apart"
    return ""


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
