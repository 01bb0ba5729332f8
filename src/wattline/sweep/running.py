"""The sweep from params.yaml to a report: plan, run what is not done, compare, write."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wattline import editing, files, params, sites
from wattline.errors import InputError, RejectedError, WattlineError
from wattline.interruption import ended_by_sigterm
from wattline.params import FILE, Params
from wattline.settings import settings
from wattline.sites import LOCAL, Profile
from wattline.sweep import array, crew, options, record, report, storage, tracking
from wattline.sweep import plan as planning
from wattline.sweep import worker as working
from wattline.sweep.plan import Plan
from wattline.sweep.record import Sweep, Trial
from wattline.sweep.study import REASON, SLOT, FirstTrialError, Trials

Say = Callable[[str], object]

SECONDS_BETWEEN_LOOKS = 1.0


def ask(
    *,
    site: str | None,
    workers: int | None,
    write: bool,
    status_only: bool,
    worker: bool,
    study: str | None,
    name: str | None,
    say: Say,
) -> None:
    """What `wattline sweep` asks for. Raises InputError for options that do not go together."""
    if worker and (write or status_only or workers is not None or site not in (None, LOCAL)):
        raise InputError(
            "--worker runs trials here and nothing else; leave out --site, --workers, --write and --status"
        )
    if not worker and (study or name):
        raise InputError("--study is for --worker; without it the study is that of params.yaml")
    if status_only and (write or workers is not None):
        raise InputError("--status runs nothing and writes nothing; leave out --write and --workers")
    if worker:
        working.run(study or _present().study, worker=name, say=say)
    elif status_only:
        status(say=say)
    else:
        run(site=site, workers=workers, write=write, say=say)


def run(*, site: str | None = None, workers: int | None = None, write: bool = False, say: Say = print) -> Sweep:
    """Run every trial that is not done, here or as an array of jobs, and write reports/sweep.json.

    site: whose profile says where workers run; by default WATTLINE_SITE
    workers: instead of `sweep.workers`
    write: also write the best values into the section `train` of params.yaml, where they beat the present ones
    Raises InputError for params that cannot be run, RejectedError when no trial is completed, or none is better and
    `write` is asked for. All is written then.
    """
    loaded = params.load()
    task = params.load_task(loaded.task)
    plan = _with_workers(planning.make(loaded, task), workers)
    chosen = site or settings().site
    profile = None if chosen == LOCAL else sites.load(chosen)
    with held(plan) as lock, ended_by_sigterm(), storage.opened(plan) as kept:
        planning.write(plan)
        trials = Trials(plan, kept, higher_is_better=planning.higher_is_better(plan, task))
        # Workers that a sweep started here hold its lock: none of them is alive.
        trials.release_of(working.here(), died=True)
        trials.fill()
        _work(trials, profile, chosen, lock=lock, say=say)
        found = report.made(trials, task)
    report.write(found)
    tracking.keep(found, plan.folder)
    tracking.send_all(say=say)
    say("\n".join(report.lines(found)))
    if found.best is None:
        raise RejectedError(f"no trial of {plan.study} was completed: {_reasons(found)}")
    if write:
        adopt(found, loaded)
        say(f"written      {FILE}: {loaded.task.name}.train has the values of trial {found.best.slot}")
    return found


def status(*, say: Say = print) -> None:
    """Tell how far the sweep of params.yaml is. Raises InputError where it was not begun."""
    loaded = params.load()
    task = params.load_task(loaded.task)
    plan = planning.make(loaded, task)
    if not (plan.folder / "plan.json").is_file():
        raise InputError(f"the study {plan.study} was not begun; `wattline sweep` begins it")
    with storage.opened(plan) as kept:
        trials = Trials(plan, kept, higher_is_better=planning.higher_is_better(plan, task))
        states = [trial.state.name for trial in trials.all()]
        found = report.made(trials, task)
    for result in found.trials:
        say(working.line(result, plan))
    say(f"trials       {len(found.trials)} of {plan.sweep.trials} done, {states.count('RUNNING')} at work")
    say("\n".join(report.lines(found)))


def adopt(found: Sweep, loaded: Params) -> None:
    """Write the best values into the section `train` of params.yaml, keeping comments.

    Raises RejectedError and changes nothing unless they beat what is there: params or rows may be others by now.
    """
    assert found.best is not None
    if _present().study != found.study:
        raise RejectedError(
            f"{FILE} stays as it is: it, or the prepared rows, were changed while {found.study} ran, and what is there "
            "now was not beaten; run the sweep again"
        )
    if not found.best.beats_default:
        raise RejectedError(f"{FILE} stays as it is: {found.best.reason}")
    tree = editing.read()
    editing.update(tree[loaded.task.name]["train"], options.nested(found.best.values))
    editing.replace_checked(FILE, editing.text(tree))


@contextmanager
def held(plan: Plan) -> Iterator[int]:
    """Keep others from running this study, and give the descriptor of the lock, which workers keep open.

    Raises WattlineError where another one is at work, or a worker that one left behind when it was killed.
    """
    refusal = WattlineError(
        f"another `wattline sweep`, or a worker that it left behind, is at work on {plan.study}; wait for it "
        f"or end it; `wattline sweep --worker --study {plan.study}` joins it"
    )
    with files.held(plan.folder / "lock", refusal=refusal) as lock:
        yield lock


def _work(trials: Trials, profile: Profile | None, site: str, *, lock: int, say: Say) -> None:
    """Run trials until all are done, telling what comes out."""
    plan = trials.plan
    news = News(trials, say=say)
    news.tell()
    if len(trials.results()) >= plan.sweep.trials:
        return
    if profile is None or profile.scheduler == LOCAL:
        crew.run(trials, workers=plan.sweep.workers, lock=lock, watch=news.tell_now_and_then)
    else:
        array.run(trials, profile, site, watch=news.tell_now_and_then, say=say)
    news.tell()
    if (left := plan.sweep.trials - len(trials.results())) > 0:
        raise WattlineError(f"{left} of {plan.sweep.trials} trials are at work elsewhere; run the sweep again later")


class News:
    """Tells each result once."""

    def __init__(self, trials: Trials, *, say: Say) -> None:
        self._trials, self._say = trials, say
        self._told = set(trials.results())
        self._next = 0.0
        if self._told:
            say(f"{len(self._told)} of {trials.plan.sweep.trials} trials of {trials.plan.study} were done before")

    def tell_now_and_then(self) -> None:
        """Ask the storage, which may be a database far away, only every second."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN_LOOKS
            self.tell()

    def tell(self) -> None:
        """Raises FirstTrialError when the first trial, the measure of all, has failed."""
        plan = self._trials.plan
        for slot, trial in self._trials.results().items():
            if slot == 0 and trial.state.name == "FAIL":
                raise FirstTrialError(
                    f"the first trial, with the present values, failed: {trial.user_attrs.get(REASON)}; correct that, "
                    f"or, where it was chance, remove {plan.folder} and run the sweep again"
                )
            if slot not in self._told:
                self._told.add(slot)
                path = record.path_of(plan.folder, trial.number)
                what = working.line(files.read_record(path, Trial), plan) if path.is_file() else _bare(trial)
                self._say(f"[{len(self._told)}/{plan.sweep.trials}] {what}")


def _bare(trial: object) -> str:
    attributes = trial.user_attrs  # type: ignore[attr-defined]
    return f"trial {attributes[SLOT]}: {attributes.get(REASON, 'done')}"


def _present() -> Plan:
    """The study of params.yaml as it is now."""
    loaded = params.load()
    return planning.make(loaded, params.load_task(loaded.task))


def _with_workers(plan: Plan, workers: int | None) -> Plan:
    if workers is None:
        return plan
    if workers < 1:
        raise InputError(f"--workers must be >= 1, got {workers}")
    return plan.model_copy(update={"sweep": plan.sweep.model_copy(update={"workers": workers})})


def _reasons(found: Sweep) -> str:
    return "; ".join(f"trial {one.slot}: {one.reason or one.state.lower()}" for one in found.trials[:3])
