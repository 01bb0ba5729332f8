"""A job followed to its end: its log as it comes, each change of its state, and its last look."""

import time
from collections.abc import Callable

from wattline.errors import WattlineError
from wattline.hpc.log import Log
from wattline.hpc.patience import patiently
from wattline.hpc.scheduler import Look, Order, Scheduler, State
from wattline.interruption import Say

TICK_SECONDS = 0.05
"""How often log and exit code are looked for. Files only: the scheduler is asked every hpc.poll_seconds."""
FORGOTTEN_LOOKS = 3
"""So often nobody must know a job until it counts as forgotten."""

Seen = Callable[[Look], None]


def follow(scheduler: Scheduler, order: Order, job: str, *, log: Log, say: Say, seen: Seen | None = None) -> Look:
    """Follow a job until it has ended, and give the last look at it.

    seen: called with each look that differs from the one before
    Raises UnreachableError when the scheduler is silent for too long, WattlineError for a job that nobody knows.
    """
    clock, last = _Clock(order), None
    while True:
        for line in log.lines():
            say(line)
        if clock.due():
            look = patiently(lambda: look_at(scheduler, order, job), params=order.params, say=say)
            look = clock.forgotten(order, job) if look is None else clock.known(look)
            if look is not None and _differs(look, last):
                # First on record: who reads what is said finds it there.
                if seen is not None:
                    seen(look)
                say(told(look, last))
                last = look
            if look is not None and look.state.ended:
                for line in log.end():
                    say(line)
                return look
        time.sleep(TICK_SECONDS)


def look_at(scheduler: Scheduler, order: Order, job: str) -> Look | None:
    """The job now. None where nobody knows it any more, or its number was given to another one."""
    look = scheduler.look(job)
    return look if look is not None and look.name == order.name else None


def by_exit_code(order: Order, job: str) -> Look | None:
    """What the job itself left of its end, for one that the scheduler has forgotten; None where it left nothing."""
    try:
        code = int(order.exit_code.read_text().strip())
    except (FileNotFoundError, ValueError):
        return None
    state = State.FAILED if code else State.COMPLETED
    return Look(job=job, name=order.name, state=state, exit_code=code, reason="by the exit code that it left")


def told(look: Look, before: Look | None) -> str:
    """One line on a change."""
    where = f" on {','.join(look.nodes)}" if look.nodes else ""
    why = f" ({look.reason})" if look.reason and look.state is not State.RUNNING else ""
    again = f", begun again for the {look.restarts}. time" if before and look.restarts > before.restarts else ""
    return f"job {look.job} is {look.state.value}{where}{why}{again}"


def _differs(look: Look, last: Look | None) -> bool:
    def essence(one: Look) -> tuple[object, ...]:
        return (one.state, one.nodes, one.restarts, one.reason)

    return last is None or essence(look) != essence(last)


class _Clock:
    """When the scheduler is asked: seldom, but at once when the job says that it is over, then less and less."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._next = 0.0
        self._wait = order.params.poll_seconds
        self._over = False
        self._unknown = 0

    def due(self) -> bool:
        now = time.monotonic()
        if not self._over and self._order.exit_code.exists():
            self._over, self._next, self._wait = True, now, TICK_SECONDS
        if now < self._next:
            return False
        self._next = now + self._wait
        self._wait = min(2 * self._wait, self._order.params.poll_seconds)
        return True

    def known(self, look: Look) -> Look:
        """A look at a job that somebody knows: it was not forgotten after all."""
        self._unknown = 0
        return look

    def forgotten(self, order: Order, job: str) -> Look | None:
        """The end of a job that nobody knows, by what it left. None while it may be known again.

        Raises WattlineError once it is clear that nothing is known.
        """
        found = by_exit_code(order, job)
        self._unknown += 1
        if found is None and self._unknown >= FORGOTTEN_LOOKS:
            raise WattlineError(
                f"neither controller nor accounting knows job {job} ({order.name}), and it left no exit code in "
                f"{order.exit_code}; look at {order.log}, and run the stage again"
            )
        return found
