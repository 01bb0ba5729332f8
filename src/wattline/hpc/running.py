"""A stage, or another command, as a job: the entries of the command line and of other packages."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wattline import sites, stages, workers
from wattline.errors import InputError, SupersededError
from wattline.hpc import desk, handover, made, outcome, record, work
from wattline.hpc.desk import Command, Desk
from wattline.hpc.orders import JOBS, folder_of
from wattline.interruption import Say, streamed
from wattline.settings import settings
from wattline.sites import LOCAL


def _aloud(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)  # noqa: T201


def ask(stage: str, site: str | None, *, attach: bool, cancel: bool, keep: Path | None) -> None:
    """Do what the command line was asked for. Raises InputError for what excludes each other."""
    if attach and cancel:
        raise InputError("--attach follows a job and --cancel ends it; give one of them")
    if attach:
        follow(stage)
    elif cancel:
        end(stage)
    elif keep is not None:
        as_ordered(stage, keep)
        # In a job the stage runs here, with the workers of the job's site.
        with workers.at(settings().site):
            run(stage, site or settings().site)
        as_ordered(stage, keep)
        kept(stage, keep)
    else:
        chosen = site or settings().site
        with workers.at(chosen):
            run(stage, chosen)


def run(stage: str, site: str, *, say: Say = _aloud) -> None:
    """Run one stage: here, or as a job where the profile of `site` says so.

    Raises JobError with the exit code of the stage when the job does not end well, InputError for what is wrong with
    stage, site or what is asked of the scheduler, IntegrityError when an input is not what the stage before it has on
    record, WattlineError when other work of that stage is under way.
    SIGTERM and Ctrl-C cancel the job; a terminal that goes away does not.
    """
    profile = None if site == LOCAL else sites.load(site)
    if profile is None or profile.scheduler == LOCAL or stage not in profile.stages:
        _here(stage)
        return
    handover.check(stage)
    Desk.of(work.of_stage(stage, site), site, profile, say=say).settle()


def run_command(
    name: str,
    command: Sequence[str],
    site: str,
    *,
    inputs: Iterable[Path] = (),
    outputs: Iterable[Path] = (),
    variables: Mapping[str, str] | None = None,
    array: str = "",
    say: Say = _aloud,
) -> None:
    """Run a command as the job `name`, or here where `site` has no scheduler, through the same machinery as a stage.

    command: e.g. ["wattline", "notebook", "results", "--site", "local"]; "wattline" is that of the job's environment
    inputs: what it reads besides params.yaml; the same command on the same inputs is not submitted twice
    outputs: what must be there in the end; DVC does not know them, so they are not kept for later
    variables: further ones of the job; nothing secret, the script is a file
    array: indices of an array of such jobs, e.g. 1-8%2, each with a log of its own (job-1.log); Slurm only

    Raises what `run` raises; `reports/jobs/<name>/` has script, log and record.
    """
    profile = None if site == LOCAL else sites.load(site)
    wanted = work.of_command(name, command, site, inputs=inputs, outputs=outputs)
    if array and (profile is None or profile.scheduler != "slurm"):
        raise InputError(f"site {site} has no arrays of jobs; choose one with scheduler: slurm")
    if profile is None or profile.scheduler == LOCAL:
        _run_here(name, command, variables or {}, say=say)
        return
    Desk.of(wanted, site, profile, command=Command(command, variables or {}, array), say=say).settle()


def follow(name: str, *, say: Say = _aloud) -> None:
    """Follow the job of a stage that was submitted before, and tell how it ended. What it made is left as it is.

    Raises InputError where there is none, and what `run` raises when the job does not end well.
    """
    former, found = desk.of_former(name, say=say)
    former.attach(found)


def end(name: str, *, say: Say = _aloud) -> None:
    """Cancel the job of a stage, and wait for its end. Raises InputError where there is none."""
    former, found = desk.of_former(name, say=say)
    former.cancel(found)


def as_ordered(stage: str, folder: Path) -> None:
    """In a job, before and after the stage: is this the job of the record, and does it read what was there then?

    folder: where the outputs will be kept, called after the job's token
    Raises SupersededError where another job was submitted since, InputError where an input or a parameter was changed
    while this one waited or ran: its result would be taken for that of other work.
    """
    if not _first():
        return
    job = record.read(folder_of(stage))
    if job is None or job.token != folder.name:
        raise SupersededError(f"job {folder.name} of {stage} is not the one of {JOBS / stage} any more; it ends here")
    here = settings().slurm_job_id
    if job.job is not None and here not in (None, job.job):
        # A controller that answered too late took the same job twice.
        raise SupersededError(f"job {here} does what job {job.job} of {stage} does already; it ends here")
    if work.of_stage(stage, job.site).key != job.key:
        raise InputError(
            f"what {stage} reads, or its parameters, were changed after its job was submitted; run `dvc repro` or "
            f"`wattline run {stage}` again"
        )


def kept(stage: str, folder: Path) -> None:
    """In a job, after the stage: keep its outputs in `folder`. Of several processes the first one does."""
    if _first():
        made.keep(work.outputs_of(stage), folder)


def _first() -> bool:
    """Whether this is the first of the processes that run the stage together."""
    # NumPy comes with it, for which who submits does not wait.
    from wattline.energy.place import here

    return here().rank == 0


def _here(stage: str) -> None:
    """Run a stage in this process. Of several that run it together, the first one looks at what it reads."""
    if _first():
        handover.check(stage)
    stages.run(stage)
    if _first():
        handover.remember(stage)


def _run_here(name: str, command: Sequence[str], variables: Mapping[str, str], *, say: Say) -> None:
    assignments = [f"{key}={value}" for key, value in variables.items()]
    code = streamed(["env", *assignments, *command], folder=Path.cwd(), say=say)
    if code:
        raise outcome.JobError(f"{name} ended with exit code {code}", code)
