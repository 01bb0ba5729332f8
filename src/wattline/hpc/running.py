"""A stage as a job: submitted once, followed, judged, and its outputs taken over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wattline import params, sites, stages
from wattline.energy.place import here
from wattline.errors import InputError, WattlineError
from wattline.hpc import energy, made, outcome, record, submission, work
from wattline.hpc.following import by_exit_code, follow, look_at
from wattline.hpc.log import Log
from wattline.hpc.orders import JOBS, folder_of, kept_in, new_token, order_of, scheduler_of, stage_command
from wattline.hpc.patience import patiently
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Look, Order, Scheduler, State
from wattline.hpc.work import Work
from wattline.interruption import Say, ended_by_sigterm, streamed
from wattline.params import HpcParams
from wattline.registry import spool, spooled
from wattline.settings import settings
from wattline.sites import LOCAL, Profile

RECENT_BYTES = 16384
"""So much of the log of a job that was found again is shown."""


def run(stage: str, site: str, *, say: Say = print) -> None:
    """Run one stage: here, or as a job where the profile of `site` says so.

    Raises JobError with the exit code of the stage when the job does not end well, InputError for what is wrong with
    stage, site or what is asked of the scheduler, WattlineError when other work of that stage is under way.
    SIGTERM and Ctrl-C cancel the job; a terminal that goes away does not.
    """
    profile = None if site == LOCAL else sites.load(site)
    if profile is None or profile.scheduler == LOCAL or (stage in stages.STAGES and stage not in profile.stages):
        stages.run(stage)
        return
    if stage not in stages.STAGES:
        raise InputError(f"{stage!r} is not a stage; stages: {', '.join(stages.STAGES)}")
    _Desk.of(work.of_stage(stage, site), site, profile, say=say).settle()


def run_command(
    name: str,
    command: Sequence[str],
    site: str,
    *,
    inputs: Iterable[Path] = (),
    outputs: Iterable[Path] = (),
    variables: Mapping[str, str] | None = None,
    say: Say = print,
) -> None:
    """Run a command as the job `name`, or here where `site` has no scheduler, through the same machinery as a stage.

    command: e.g. ["wattline", "notebook", "results", "--site", "local"]; "wattline" is that of the job's environment
    inputs: what it reads besides params.yaml; the same command on the same inputs is not submitted twice
    outputs: what must be there in the end; DVC does not know them, so they are not kept for later
    variables: further ones of the job; nothing secret, the script is a file

    Raises what `run` raises; `reports/jobs/<name>/` has script, log and record.
    """
    profile = None if site == LOCAL else sites.load(site)
    wanted = work.of_command(name, command, site, inputs=inputs, outputs=outputs)
    if profile is None or profile.scheduler == LOCAL:
        _run_here(name, command, variables or {}, say=say)
        return
    _Desk.of(wanted, site, profile, command=command, variables=variables or {}, say=say).settle()


def attach(name: str, *, say: Say = print) -> None:
    """Follow the job of a stage that was submitted before, and tell how it ended. What it made is left as it is.

    Raises InputError where there is none, and what `run` raises when the job does not end well.
    """
    desk, found = _desk_of_former(name, say=say)
    desk.attach(found)


def cancel(name: str, *, say: Say = print) -> None:
    """Cancel the job of a stage, and wait for its end. Raises InputError where there is none."""
    desk, found = _desk_of_former(name, say=say)
    desk.cancel(found)


def keep(stage: str, folder: Path) -> None:
    """In a job, after the stage: keep its outputs in `folder`. Of several processes the first one does."""
    if here().rank == 0:
        made.keep(work.outputs_of(stage), folder)


@dataclass(frozen=True)
class _Desk:
    """Where one piece of work is settled: whoever comes with it is served by the same job."""

    work: Work
    site: str
    profile: Profile
    scheduler: Scheduler
    params: HpcParams
    command: Sequence[str] | None
    variables: Mapping[str, str]
    say: Say

    @classmethod
    def of(
        cls,
        wanted: Work,
        site: str,
        profile: Profile,
        *,
        command: Sequence[str] | None = None,
        variables: Mapping[str, str] | None = None,
        say: Say,
    ) -> "_Desk":
        scheduler, hpc = scheduler_of(profile), params.load().hpc
        return cls(wanted, site, profile, scheduler, hpc, command, variables or {}, say)

    @property
    def folder(self) -> Path:
        return folder_of(self.work.name)

    def order(self, token: str) -> Order:
        command = self.command if self.command is not None else stage_command(self.work.name, token)
        return order_of(
            self.work.name, command, token=token, profile=self.profile, params=self.params, variables=self.variables
        )

    def settle(self) -> None:
        """Submit or find the job, follow it, and take over what it made."""
        with ended_by_sigterm():
            try:
                with record.locked(self.folder):
                    former = self._former()
                    job = former or self._submitted()
                recent = RECENT_BYTES if former else None
                self._collect(job, self._followed(job, recent_bytes=recent))
            except (KeyboardInterrupt, SystemExit) as leaving:
                self._cancelled_on_leaving()
                raise SystemExit(leaving.code if isinstance(leaving, SystemExit) else 130) from None

    def attach(self, job: Job) -> None:
        with ended_by_sigterm():
            try:
                look = self._followed(job, recent_bytes=RECENT_BYTES)
            except (KeyboardInterrupt, SystemExit) as leaving:
                self._cancelled_on_leaving()
                raise SystemExit(leaving.code if isinstance(leaving, SystemExit) else 130) from None
        outcome.check(look, self.order(job.token))

    def cancel(self, job: Job) -> None:
        """Cancel, wait, and note it."""
        if job.job is None:
            return
        number, order = job.job, self.order(job.token)
        patiently(lambda: self.scheduler.cancel(number), params=self.params, say=self.say)
        look = follow(
            self.scheduler, order, number, log=Log(order.log, recent_bytes=0), say=self.say, seen=lambda look: None
        )
        with record.locked(self.folder):
            record.write(self.folder, job.seen(look).model_copy(update={"collected": True}))

    def found(self, job: Job) -> Job | None:
        """`job` with its number, where there is one: it may have been submitted by somebody who did not live to note it."""
        if job.job is not None:
            return job
        number = submission.number_of(self.scheduler, self.order(job.token), say=self.say)
        if number is None:
            return None
        known = job.model_copy(update={"job": number})
        record.write(self.folder, known)
        return known

    def _former(self) -> Job | None:
        """The job that does this work already, or did it while nobody looked. None where one has to be submitted.

        Raises WattlineError where a job of other work of this stage is under way.
        """
        job = record.read(self.folder)
        job = self.found(job) if job is not None and not job.collected else None
        if job is None or job.job is None:
            return None
        number, order = job.job, self.order(job.token)
        look = patiently(lambda: look_at(self.scheduler, order, number), params=self.params, say=self.say)
        look = look or by_exit_code(order, number)
        if look is None:
            self.say(f"job {number} of before is not known any more, and left no exit code; a new one is submitted")
            return None
        return self._usable(job, look, order)

    def _usable(self, job: Job, look: Look, order: Order) -> Job | None:
        same = job.key == self.work.key
        if not look.state.ended:
            if same:
                self.say(f"job {job.job} does this already; it is followed")
                return job
            raise WattlineError(
                f"job {job.job} of {self.work.name} at {job.site} is under way with other inputs, parameters or site; "
                f"wait for it (`wattline run {self.work.name} --attach`) or end it (`--cancel`)"
            )
        well = look.state is State.COMPLETED and not look.exit_code
        if same and well:
            self.say(f"job {job.job} has done this while nobody looked; what it made is taken over")
            return job
        became = "ended well, but with other inputs" if well else outcome.sentence(look, order)
        self.say(f"of before: {became if not well else f'job {job.job} {became}'}; a new one is submitted")
        return None

    def _submitted(self) -> Job:
        token = new_token()
        job = Job(stage=self.work.name, site=self.site, token=token, key=self.work.key)
        known = submission.submit(self.scheduler, self.order(token), job, say=self.say)
        self.say(f"submitted job {known.job} ({known.name}); script, log and record are in {JOBS / self.work.name}")
        return known

    def _followed(self, job: Job, *, recent_bytes: int | None) -> Look:
        order = self.order(job.token)
        assert job.job is not None

        def seen(look: Look) -> None:
            self._note(job.token, look)

        log = Log(order.log, recent_bytes=recent_bytes)
        return follow(self.scheduler, order, job.job, log=log, say=self.say, seen=seen)

    def _note(self, token: str, look: Look) -> None:
        """Keep what was seen. Whoever follows the same job notes the same."""
        with record.locked(self.folder):
            job = record.read(self.folder)
            if job is None or job.token != token:
                return
            line = f"{look.state.value} {','.join(look.nodes)} {look.reason}".strip()
            history = job.history if job.history[-1:] == (line,) else (*job.history, line)
            record.write(self.folder, job.seen(look).model_copy(update={"history": history}))

    def _collect(self, job: Job, look: Look) -> None:
        """Take over the outcome of a job, once."""
        order = self.order(job.token)
        spent, reason = energy.of_job(look, self.profile)
        with record.locked(self.folder):
            last = record.read(self.folder)
            first = last is not None and last.token == job.token and not last.collected
            if first and last is not None:
                self._take_over(order, look)
                done = {"collected": True, "energy": spent, "not_measured": reason}
                record.write(self.folder, last.seen(look).model_copy(update=done))
        outcome.check(look, order)
        self.say(f"energy of job {look.job}: " + (f"{spent.joules:.0f} J ({spent.sensor})" if spent else reason))
        if first:
            _send(self.profile, say=self.say)

    def _take_over(self, order: Order, look: Look) -> None:
        if look.state is not State.COMPLETED or look.exit_code:
            return
        if self.command is None:
            made.restore(self.work.outputs, kept_in(order))
            made.remove(order.folder)
        elif missing := [str(path) for path in self.work.outputs if not path.exists()]:
            raise WattlineError(f"job {look.job} ended well, but {missing[0]} is not there; look at {order.log}")

    def _cancelled_on_leaving(self) -> None:
        job = record.read(self.folder)
        if job is None or job.collected:
            return
        job = self.found(job)
        if job is not None:
            self.say(f"cancelling job {job.job}")
            self.cancel(job)


def _desk_of_former(name: str, *, say: Say) -> tuple[_Desk, Job]:
    """The desk of the job that was submitted last for `name`, wherever that was."""
    job = record.read(folder_of(name)) if (JOBS / name).is_dir() else None
    if job is None or job.collected:
        raise InputError(f"there is no job of {name} that was submitted and not collected; see {JOBS / name}")
    profile = sites.load(job.site)
    known = Work(name, job.key, ())
    desk = _Desk.of(known, job.site, profile, say=say)
    found = desk.found(job)
    if found is None:
        raise InputError(f"the job {job.name} was never submitted; run `wattline run {name}`")
    return desk, found


def _run_here(name: str, command: Sequence[str], variables: Mapping[str, str], *, say: Say) -> None:
    assignments = [f"{key}={value}" for key, value in variables.items()]
    code = streamed(["env", *assignments, *command], folder=Path.cwd(), say=say)
    if code:
        raise outcome.JobError(f"{name} ended with exit code {code}", code)


def _send(profile: Profile, *, say: Say) -> None:
    """Send what was logged on a node without a network. What cannot be sent stays, and the stage is done all the same."""
    if not profile.offline or settings().offline or not spooled.waiting():
        return
    try:
        for one in spool.sync():
            say(f"sent: {one.record} as run {one.run_id}")
    except WattlineError as error:
        say(f"{error}; run `wattline sync` later")
