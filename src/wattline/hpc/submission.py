"""A job handed in once: known by its name before it has a number, and found again after every crash."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wattline import files
from wattline.errors import InputError, UnreachableError
from wattline.hpc import made, record
from wattline.hpc.patience import FIRST_SECONDS, patiently
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Order, Scheduler
from wattline.interruption import Say

HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def submit(scheduler: Scheduler, order: Order, job: Job, *, say: Say) -> Job:
    """Hand in `order`, and give its record with the number.

    The intent is on disk before, so that who comes after a crash looks for a job of that name. Call it with the lock.
    Raises InputError where the scheduler refuses; then there is no job, and none is looked for.
    """
    _clear(order)
    files.write_text(order.script, scheduler.render(order))
    record.write(order.folder, job)
    try:
        return _handed_in(scheduler, order, job, say=say)
    except InputError as error:
        record.write(order.folder, job.model_copy(update={"collected": True, "reason": str(error)}))
        raise


def number_of(scheduler: Scheduler, order: Order, *, say: Say) -> str | None:
    """The number of a job that may have been submitted; None where there is none of its name."""
    return patiently(lambda: scheduler.find(order.name), params=order.params, say=say)


def _clear(order: Order) -> None:
    """Remove what an earlier job left, so that nothing of it can be taken for this one's."""
    order.folder.mkdir(parents=True, exist_ok=True)
    made.remove(order.folder)
    for pattern in ("exit_code*", "job*.log"):
        for path in order.folder.glob(pattern):
            path.unlink(missing_ok=True)


def _handed_in(scheduler: Scheduler, order: Order, job: Job, *, say: Say) -> Job:
    deadline, wait = time.monotonic() + order.params.patience_seconds, FIRST_SECONDS
    while True:
        try:
            with held_back():
                return _noted(order, job, scheduler.submit(order), say=say)
        except UnreachableError as error:
            if time.monotonic() >= deadline:
                raise
            say(f"{error}; trying again for {max(0.0, deadline - time.monotonic()):.0f} s")
        time.sleep(wait)
        wait = min(2 * wait, order.params.poll_seconds)
        # A controller that did not answer may have taken the job all the same.
        if number := number_of(scheduler, order, say=say):
            return _noted(order, job, number, say=say)


def _noted(order: Order, job: Job, number: str, *, say: Say) -> Job:
    known = job.model_copy(update={"job": number})
    try:
        record.write(order.folder, known)
    except OSError as error:
        # The intent is there, so that the job will be found by its name. To leave it alone now would help nobody.
        say(f"{error}: the number of job {number} ({order.name}) could not be noted; make room")
    return known


@contextmanager
def held_back() -> Iterator[None]:
    """Let no signal come between a submission and its note. One that comes meanwhile takes effect afterwards."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
