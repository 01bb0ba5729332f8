"""Where one piece of work is settled: whoever comes with it is served by the same job."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wattline import params, sites
from wattline.errors import InputError, WattlineError
from wattline.hpc import energy, made, outcome, record, submission, work
from wattline.hpc.following import by_exit_code, follow, look_at
from wattline.hpc.log import Log
from wattline.hpc.orders import JOBS, folder_of, kept_in, misspelt, new_token, order_of, scheduler_of, stage_command
from wattline.hpc.patience import patiently
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Look, Order, Scheduler
from wattline.hpc.work import Work
from wattline.interruption import Say, ended_by_sigterm
from wattline.params import HpcParams
from wattline.registry import spool, spooled
from wattline.settings import settings
from wattline.sites import Profile
from wattline.stages import STAGES

RECENT_BYTES = 16384
"""So much of the log of a job that was found again is shown."""


@dataclass(frozen=True)
class Command:
    """What runs where the work is no stage of dvc.yaml; see `Order`."""

    words: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    array: str = ""


@dataclass(frozen=True)
class Desk:
    """One piece of work at one site."""

    work: Work
    site: str
    profile: Profile
    scheduler: Scheduler
    params: HpcParams
    command: Command | None
    say: Say
    _orders: dict[str, Order] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: Work, site: str, profile: Profile, *, command: Command | None = None, say: Say) -> "Desk":
        loaded = params.load().hpc
        for sentence in misspelt(loaded, dict.fromkeys((*STAGES, *sites.stages(), wanted.name))):
            raise InputError(sentence)
        return cls(wanted, site, profile, scheduler_of(profile), loaded, command, say)

    @property
    def folder(self) -> Path:
        return folder_of(self.work.name)

    def order(self, token: str) -> Order:
        """The order of one job; made once, since it asks git for the commit."""
        if token not in self._orders:
            self._orders[token] = self._ordered(token)
        return self._orders[token]

    def _ordered(self, token: str) -> Order:
        command = self.command or Command(stage_command(self.work.name, token))
        return order_of(
            self.work.name,
            command.words,
            site=self.site,
            token=token,
            profile=self.profile,
            params=self.params,
            variables=command.variables,
            array=command.array,
        )

    def settle(self) -> None:
        """Submit or find the job, follow it, and take over what it made."""
        with self._cancelling() as tokens:
            with record.locked(self.folder):
                former = self._former(tokens)
                if former is None:
                    tokens.append(new_token())
                job = former or self._submitted(tokens[-1])
            self._collect(job, self._followed(job, recent_bytes=RECENT_BYTES if former else None))

    def attach(self, job: Job) -> None:
        """Follow a job, and say how it ended. It stays to be collected."""
        with self._cancelling() as tokens:
            tokens.append(job.token)
            look = self._followed(job, recent_bytes=RECENT_BYTES)
        outcome.check(look, self.order(job.token))

    def cancel(self, job: Job) -> None:
        """Cancel, wait, and note it."""
        if job.job is None:
            return
        number, order = job.job, self.order(job.token)
        if patiently(lambda: look_at(self.scheduler, order, number), params=self.params, say=self.say):
            patiently(lambda: self.scheduler.cancel(number), params=self.params, say=self.say)
        look = follow(self.scheduler, order, number, log=Log(order.log, recent_bytes=0), say=self.say)
        with record.locked(self.folder):
            last = record.read(self.folder) or job
            # Where it was faster, what it made can be used.
            record.write(self.folder, last.seen(look).model_copy(update={"collected": not look.well}))

    def found(self, job: Job) -> Job | None:
        """`job` with its number, where there is one: who submitted it may not have lived to note that."""
        if job.job is not None:
            return job
        number = submission.number_of(self.scheduler, self.order(job.token), say=self.say)
        if number is None:
            return None
        known = job.model_copy(update={"job": number})
        record.write(self.folder, known)
        return known

    def _former(self, tokens: list[str]) -> Job | None:
        """The job that does this work already, or did it while nobody looked. None where one has to be submitted.

        tokens: its token is added before it is spoken of, so that who is told to end then takes it along
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
        return self._usable(job, look, order, tokens)

    def _usable(self, job: Job, look: Look, order: Order, tokens: list[str]) -> Job | None:
        same = job.key == self.work.key
        if not look.state.ended:
            if same:
                tokens.append(job.token)
                self.say(f"job {job.job} does this already; it is followed")
                return job
            raise WattlineError(
                f"job {job.job} of {self.work.name} at {job.site} is under way with other inputs, parameters or site; "
                f"wait for it (`wattline run {self.work.name} --attach`) or end it (`--cancel`)"
            )
        if same and look.well:
            tokens.append(job.token)
            self.say(f"job {job.job} has done this while nobody looked; what it made is taken over")
            return job
        became = f"job {job.job} ended well, but with other inputs" if look.well else outcome.sentence(look, order)
        self.say(f"of before: {became}; a new one is submitted")
        return None

    def _submitted(self, token: str) -> Job:
        job = Job(stage=self.work.name, site=self.site, token=token, key=self.work.key)
        known = submission.submit(self.scheduler, self.order(token), job, say=self.say)
        self.say(f"submitted job {known.job} ({known.name}); script, log and record are in {JOBS / self.work.name}")
        return known

    def _followed(self, job: Job, *, recent_bytes: int | None) -> Look:
        order = self.order(job.token)
        assert job.job is not None

        def seen(look: Look) -> None:
            self._note(job.token, look)
            if reason := outcome.hopeless(look, order):
                self.cancel(job)
                raise InputError(f"{reason}; it was cancelled")

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
        spent, reason = energy.of_job(look, order)
        with record.locked(self.folder):
            last = record.read(self.folder)
            first = last is not None and last.token == job.token and not last.collected
            if first and last is not None:
                done = last.seen(look).model_copy(update={"collected": True, "energy": spent, "not_measured": reason})
                self._take_over(done, order, look)
                record.write(self.folder, done)
                made.remove(order.folder)  # not before that is noted: who comes after a crash takes it over again
        outcome.check(look, order)
        self.say(f"energy of job {look.job}: " + (f"{spent.joules:.0f} J ({spent.sensor})" if spent else reason))
        if first:
            _send(self.profile, say=self.say)

    def _take_over(self, done: Job, order: Order, look: Look) -> None:
        """Put the outputs of a job that ended well where they belong. One that left none is not asked again."""
        if not look.well:
            return
        if self.command is None:
            try:
                made.restore(self.work.outputs, kept_in(order))
            except WattlineError as error:
                record.write(self.folder, done.model_copy(update={"reason": str(error)}))
                raise
        elif missing := [str(path) for path in self.work.outputs if not path.exists()]:
            raise WattlineError(f"job {look.job} ended well, but {missing[0]} is not there; look at {order.log}")

    @contextmanager
    def _cancelling(self) -> Iterator[list[str]]:
        """Cancel the job on SIGTERM and Ctrl-C. Gives a list for the token of the job that is meant, once it is known.

        A terminal that goes away (SIGHUP) ends this process at once, and leaves the job alone.
        """
        tokens: list[str] = []
        with ended_by_sigterm():
            try:
                yield tokens
            except (KeyboardInterrupt, SystemExit) as leaving:
                job = record.read(self.folder)
                if job is not None and job.token in tokens and not job.collected and (job := self.found(job)):
                    self.say(f"cancelling job {job.job}")
                    self.cancel(job)
                raise SystemExit(leaving.code if isinstance(leaving, SystemExit) else 130) from None


def of_former(name: str, *, say: Say) -> tuple[Desk, Job]:
    """The desk of the job that was submitted last for `name`, wherever that was."""
    work.check_name(name)
    job = record.read(folder_of(name)) if (JOBS / name).is_dir() else None
    if job is None or job.collected:
        raise InputError(f"there is no job of {name} that was submitted and not collected; see {JOBS / name}")
    profile = sites.load(job.site)
    known = Work(name, job.key, ())
    desk = Desk.of(known, job.site, profile, say=say)
    with record.locked(desk.folder):
        found = desk.found(job)
    if found is None:
        raise InputError(f"the job {job.name} was never submitted; run `wattline run {name}`")
    return desk, found


def _send(profile: Profile, *, say: Say) -> None:
    """Send what was logged on a node without a network. What cannot be sent waits, and the stage is done."""
    if not profile.offline or settings().offline or not spooled.waiting():
        return
    try:
        for one in spool.sync():
            say(f"sent: {one.record} as run {one.run_id}")
    except WattlineError as error:
        say(f"{error}; run `wattline sync` later")
