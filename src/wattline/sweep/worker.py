"""A worker: takes one trial after the other until none is left, and hands its own back when it is told to end."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from wattline import files, floors
from wattline.checkpoints import Told, listening
from wattline.errors import SupersededError
from wattline.settings import settings
from wattline.sweep import plan as planning
from wattline.sweep import record, storage, trial
from wattline.sweep.plan import Plan
from wattline.sweep.record import Trial
from wattline.sweep.study import SLOT, Trials, Watch
from wattline.task import Task, TrainingData

if TYPE_CHECKING:
    from optuna import Trial as Claimed

Say = Callable[[str], object]

LIBRARIES = ("torch", "pyarrow")
SHOWN_VALUES = 4
TAKEN = "does not count here: this worker was taken for dead, and another one runs it"
GOES_ON = "the study goes on where it stands when it is run again"


def run(study: str, *, worker: str | None = None, say: Say = print) -> None:
    """Run trials of `study` until none is left.

    worker: how it is called; one that comes back under its name takes up its own trial again
    Raises PausedError when it was told to end with trials left: started again, it goes on.
    """
    floors.check(*LIBRARIES)
    plan, task = planning.read(study)
    name = worker or own_name()
    with listening() as told, storage.opened(plan) as kept:
        trials = Trials(plan, kept, higher_is_better=planning.higher_is_better(plan, task))
        # What it left when it was killed; no other process has its name.
        trials.release_of(name, died=True)
        data = trial.read_data(plan)
        for claimed in _claimed(trials, name, told):
            _run(claimed, trials, plan, task, data, told=told, say=say)


def _claimed(trials: Trials, name: str, told: Told) -> "Iterator[Claimed]":
    """Trials to run, until none is in line, and those that others run are seen to live.

    A signal that comes while one is taken is heeded afterwards: the trial would belong to nobody.
    """
    watch = Watch(trials.plan.sweep.heartbeat_seconds)
    while True:
        told.heeded = True
        claimed = trials.claim(name)
        if claimed is not None:
            yield claimed
            continue
        told.heeded = False
        if told.by is not None:
            raise told.error(GOES_ON)
        running = trials.running()
        for dead in watch.look(running):
            trials.release(dead, died=True)
        if watch.all_alive(running) and trials.claim_is_empty():
            return
        time.sleep(min(1.0, trials.plan.sweep.heartbeat_seconds / 4))


def _run(
    claimed: "Claimed",
    trials: Trials,
    plan: Plan,
    task: Task,
    data: TrainingData,
    *,
    told: Told,
    say: Say,
) -> None:
    number, slot = claimed.number, claimed.user_attrs[SLOT]
    try:
        with _beating(trials, number):
            told.heeded = False
            if told.by is not None:
                raise told.error(GOES_ON)
            result = trial.run(claimed, plan, task, data, told=told)
    except SupersededError:
        say(f"trial {slot}: {TAKEN}")
        return
    except BaseException:  # a signal, or the storage that is gone: whoever comes next goes on with this trial
        trials.release(trials.attempt(number), died=False)
        raise
    path = record.path_of(plan.folder, number)
    files.write_text(path, result.to_json())
    failed = result.reason if result.state == "FAIL" else ""
    if not trials.finish(number, result.state, value=result.objective, reason=failed):
        path.unlink()
        say(f"trial {slot}: {TAKEN}")
        return
    shutil.rmtree(plan.folder / "checkpoints" / f"{slot:04}", ignore_errors=True)
    say(line(result, plan))
    if told.by is not None:
        raise told.error(GOES_ON)


def line(result: Trial, plan: Plan) -> str:
    """What came out of a trial, for who watches."""
    values = " ".join(f"{key}={_short(value)}" for key, value in [*result.values.items()][:SHOWN_VALUES])
    found = f"{plan.sweep.objective}={result.objective:.5g}" if result.objective is not None else result.reason
    return f"trial {result.slot}: {result.state.lower()} {found} ({values})"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def own_name(number: int | None = None) -> str:
    """Of this worker alone: a job, and a task of an array, keep theirs when they are put in line again.

    number: of a worker that was started here by a sweep; such names begin with `here()`
    """
    if number is not None:
        return f"{here()}{number}."
    known = settings()
    if known.slurm_array_job_id:
        return f"job{known.slurm_array_job_id}_{known.slurm_array_task_id}."
    if known.slurm_job_id:
        return f"job{known.slurm_job_id}."
    return f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}."


def here() -> str:
    """How the names of all workers begin that a sweep starts on this machine, of this state folder.

    Another project may be at work on the same study here, in the same database.
    """
    place = hashlib.sha256(str(planning.folder()).encode()).hexdigest()[:6]
    return f"{os.uname().nodename}-{place}-local"


@contextmanager
def _beating(trials: Trials, number: int) -> Iterator[None]:
    """Give signs of life while a trial runs."""
    done = threading.Event()

    def beat() -> None:
        count = 0
        while not done.is_set():
            count += 1
            # What fails here for good fails in the main thread, too, which says so.
            with suppress(Exception):
                trials.beat(number, count)
            done.wait(trials.plan.sweep.heartbeat_seconds)

    thread = threading.Thread(target=beat, name="sweep-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
