"""What became of a job, as one sentence with the remedy."""

from pathlib import Path

from wattline.errors import PausedError, WattlineError
from wattline.hpc.scheduler import Look, Order, State

TAIL_BYTES = 4096
LESS = "ask for less in hpc.stages of params.yaml, or correct `partition` in the site's profile"
HOPELESS = {
    "AccountNotAllowed": "correct `account` in the site's profile",
    "InvalidAccount": "correct `account` in the site's profile",
    "InvalidQOS": "correct `qos` in the site's profile",
    "QOSNotAllowed": "correct `qos` in the site's profile",
    "QOSTimeLimit": "lower `minutes` in hpc.stages of params.yaml, or choose another `qos` in the site's profile",
    "PartitionTimeLimit": "lower `minutes` in hpc.stages of params.yaml, or correct `partition` in the site's profile",
    "PartitionNodeLimit": LESS,
    "PartitionConfig": LESS,
    "BadConstraints": "correct `flags` in the site's profile",
    "DependencyNeverSatisfied": "remove the dependency from `flags` in the site's profile",
}
"""Reasons of Slurm's for waiting that only another order ends."""
HELD = ("launch_failed_requeued_held", "JobHoldMaxRequeue")
"""Reasons for waiting of a job that could not be started on its nodes, and that only a person lets try again."""
LAUNCHERS = ("srun: ", "slurmstepd: ", "flux-job: ")
"""They only repeat that something ended."""


class JobError(WattlineError):
    """A job that did not end well; `exit_code` is that of its stage where it had one."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def check(look: Look, order: Order) -> None:
    """Raise JobError unless the job ended well."""
    if not look.well:
        raise JobError(sentence(look, order), _exit_code(look))


def sentence(look: Look, order: Order) -> str:
    """What happened to a job that did not end well, and what to do."""
    knob = f"hpc.stages.{order.stage}"
    who = f"job {look.job} ({order.stage}{' on ' + ','.join(look.nodes) if look.nodes else ''})"
    again = f"run `wattline run {order.stage}` or `dvc repro` again: a training goes on from its last checkpoint"
    match look.state:
        case State.OUT_OF_MEMORY:
            asked = order.resources.memory_gib
            known = f" of {asked:g} GiB" if asked else ""
            peak = f", its largest process used {look.peak_gib:.2f} GiB" if look.peak_gib else ""
            return f"{who} ran out of its memory{known}{peak}; raise {knob}.memory_gib in params.yaml"
        case State.TIMEOUT:
            limit = f" of {order.resources.minutes} min" if order.resources.minutes else ""
            return f"{who} reached its time limit{limit}; raise {knob}.minutes in params.yaml, or {again}"
        case State.NODE_FAIL:
            return f"{who} lost a node, and Slurm did not start it again{_because(look)}; {again}"
        case State.PREEMPTED:
            return f"{who} had to make room for another job and was not queued again; {again}"
        case State.CANCELLED:
            return f"{who} was cancelled{' ' + look.reason if look.reason.startswith('by ') else ''}; {again}"
        case _:
            return _failed(look, order, who, again)


def hopeless(look: Look, order: Order) -> str | None:
    """Why a job that waits will never start, and what to do; None for one that may."""
    if look.state is State.PENDING and look.reason in HELD:
        return (
            f"job {look.job} ({order.stage}) could not be started on its nodes and is held ({look.reason}): look "
            f"whether they see {order.root}, exclude a broken one by `flags: [--exclude=NODE]` in the site's profile"
        )
    if look.state is not State.PENDING or look.restarts or look.reason not in HOPELESS:
        return None
    return f"job {look.job} ({order.stage}) would wait for ever ({look.reason}): {HOPELESS[look.reason]}"


def _failed(look: Look, order: Order, who: str, again: str) -> str:
    code, where = _exit_code(look), f"all that it said is in {order.log}"
    if code == PausedError.exit_code:
        return (
            f"{who} was paused after {look.restarts} restarts, as often as hpc.maximum_restarts allows; raise it or "
            f"hpc.stages.{order.stage}.minutes in params.yaml, and {again}"
        )
    last = last_line(order.log)
    return f"{who} ended with exit code {code}{_because(look)}{': ' + last if last else ''}; {where}"


def _because(look: Look) -> str:
    """The scheduler's reason, where it says more than that something failed."""
    return f" ({look.reason})" if look.reason not in ("", "NonZeroExitCode", "None") else ""


def _exit_code(look: Look) -> int:
    return look.exit_code if look.state in (State.FAILED, State.COMPLETED) and look.exit_code else 1


def last_line(log: Path) -> str:
    """The last line that says something, preferring the one with which `wattline` ends."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    lines = [line for line in lines if not line.startswith(LAUNCHERS)] or lines
    ours = [line for line in lines if line.startswith("wattline: ")]
    return (ours or lines or [""])[-1].removeprefix("wattline: ")[:300]
