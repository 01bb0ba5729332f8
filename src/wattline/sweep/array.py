"""Workers as an array of jobs: submitted once, followed by what they find out, and cancelled with who follows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wattline import params
from wattline.errors import InputError, WattlineError
from wattline.hpc import outcome, record, script, submission
from wattline.hpc.following import follow, look_at
from wattline.hpc.log import Log
from wattline.hpc.orders import folder_of, new_token, order_of, scheduler_of
from wattline.hpc.patience import patiently
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Look, Order, Scheduler
from wattline.interruption import Say
from wattline.params import HpcParams
from wattline.sites import Profile
from wattline.sweep import storage
from wattline.sweep.plan import Plan
from wattline.sweep.study import FirstTrialError, Trials

NAME = "sweep"


@dataclass
class Arrays:
    """The scheduler of a site, whose next job is an array of so many tasks."""

    inner: Scheduler
    tasks: int
    at_once: int | None
    name: str = "an array"

    def render(self, order: Order) -> str:
        """The script of every task. Raises InputError for a scheduler that has no arrays."""
        if self.inner.name != "slurm":
            raise InputError(
                f"a sweep on {self.inner.name} is not an array of jobs; submit `wattline sweep --worker --study STUDY` "
                "as often as you like: workers find their trials by themselves"
            )
        return script.slurm(order, array=f"1-{self.tasks}" + (f"%{self.at_once}" if self.at_once else ""))

    def submit(self, order: Order) -> str:
        return self.inner.submit(order)

    def find(self, name: str) -> str | None:
        return self.inner.find(name)

    def look(self, job: str) -> Look | None:
        return self.inner.look(job)

    def cancel(self, job: str) -> None:
        self.inner.cancel(job)


class News(Log):
    """What the follower of a job prints: what has come out of trials, instead of the log of one job."""

    def __init__(self, watch: Callable[[], object]) -> None:
        self._watch = watch

    def lines(self) -> Iterator[str]:
        self._watch()
        return iter(())

    def end(self) -> Iterator[str]:
        return self.lines()


def run(trials: Trials, profile: Profile, site: str, *, watch: Callable[[], object], say: Say) -> None:
    """Let arrays of workers run trials until all are done, one after the other while they get on.

    watch: called now and then, to tell what has come out
    Raises InputError for what the scheduler refuses, JobError when an array ends and nothing has come out of it.
    """
    hpc = params.load().hpc
    while (left := trials.plan.sweep.trials - len(trials.results())) > 0:
        before = trials.progress()
        tasks = min(left, trials.plan.sweep.workers)
        scheduler = Arrays(scheduler_of(profile), tasks, trials.plan.sweep.at_once)
        number, look, order = _one(trials.plan, scheduler, site, profile, hpc, watch=watch, say=say)
        trials.release_of(f"job{number}_", died=True)
        trials.fill()
        if trials.progress() == before:
            outcome.check(look, order)
            raise WattlineError(f"job {number} ended well and has got no further; its logs are in {order.folder}")


def _one(
    plan: Plan,
    scheduler: Arrays,
    site: str,
    profile: Profile,
    hpc: HpcParams,
    *,
    watch: Callable[[], object],
    say: Say,
) -> tuple[str, Look, Order]:
    """One array to its end, with its number: the one that is at work already, or a new one."""

    def ordered(token: str) -> Order:
        command = ["wattline", "sweep", "--worker", "--study", plan.study]
        return order_of(NAME, command, site=site, token=token, profile=profile, params=hpc, variables=variables(plan))

    folder = folder_of(NAME)
    with record.locked(folder):
        former = job = _former(plan, scheduler, ordered, hpc, say=say)
        if job is None:
            draft = Job(stage=NAME, site=site, token=new_token(), key=plan.study)
            order = ordered(draft.token)
            _check(order)
            _clear(order)
            job = submission.submit(scheduler, order, draft, say=say)
            say(f"submitted job {job.job} ({job.name}), an array of {scheduler.tasks}; its logs are in {folder}")
    order = ordered(job.token)
    assert job.job is not None
    number = job.job
    try:
        if former is not None:  # said where who is told to end takes the array along
            say(f"job {number} runs this study already; it is followed")
        look = follow(scheduler, order, number, log=News(watch), say=say, seen=_unnoted)
    except (KeyboardInterrupt, SystemExit, FirstTrialError):
        say(f"cancelling job {number}")
        patiently(lambda: scheduler.cancel(number), params=hpc, say=say)
        look = follow(scheduler, order, number, log=News(lambda: None), say=say, seen=_unnoted)
        record.write(folder, job.seen(look).model_copy(update={"collected": True}))
        raise
    record.write(folder, job.seen(look).model_copy(update={"collected": True}))
    return number, look, order


def _former(
    plan: Plan, scheduler: Scheduler, ordered: Callable[[str], Order], hpc: HpcParams, *, say: Say
) -> Job | None:
    """The array that runs this study already. Raises WattlineError where one runs another study."""
    job = record.read(folder_of(NAME))
    if job is None or job.collected:
        return None
    order = ordered(job.token)
    number = job.job or submission.number_of(scheduler, order, say=say)
    look = patiently(lambda: look_at(scheduler, order, number), params=hpc, say=say) if number else None
    if look is None or look.state.ended:
        return None
    if job.key != plan.study:
        raise WattlineError(
            f"job {number} is at work on another study, {job.key}; wait for it, or end it: scancel {number}"
        )
    return job.model_copy(update={"job": number})


def _unnoted(_look: Look) -> None:
    """Changes of an array are told and not kept: what counts is what its trials come to."""


def variables(plan: Plan) -> dict[str, str]:
    """What a worker has to know besides. Raises InputError for an address with a password: the script is a file."""
    if plan.sweep.storage == "journal":
        return {}
    address = storage.address()
    if storage.holds_secret(address):
        raise InputError(
            "WATTLINE_SWEEP_STORAGE holds a password, which a job's script would show to others; leave it out, and put "
            "it into ~/.pgpass, which libpq reads on every node"
        )
    return {"WATTLINE_SWEEP_STORAGE": address.render_as_string()}


def _check(order: Order) -> None:
    wanted = order.resources
    if (wanted.nodes or 1) * (wanted.tasks_per_node or 1) > 1:
        raise InputError(
            f"hpc.stages.{NAME} asks for {wanted.nodes or 1} x {wanted.tasks_per_node or 1} processes, but each job of "
            "the array trains in one; set nodes and tasks_per_node to 1"
        )


def _clear(order: Order) -> None:
    """Remove logs and exit codes of the tasks of former arrays."""
    for pattern in ("job-*.log", "exit_code-*"):
        for path in order.folder.glob(pattern):
            path.unlink(missing_ok=True)
