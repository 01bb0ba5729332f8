"""Verbs of the registry, run as threads of which exactly one is ever awake: a schedule says which one goes on.

Every call of MLflow's client and every transaction of the ledger is a step. Before each one the thread stops, until it
is woken, or killed: then neither this call nor any later one happens, which is what `kill -9` means to a database.
Time is virtual. A lock runs out when the schedule lets time pass, as it does for a process that is asleep.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from wattline.registry.ledger import ledger as ledger_module
from wattline.registry.ledger import locking
from wattline.registry.ledger.ledger import Ledger

LEDGER_STEPS = ("_try_to_take", "append", "_give_back", "champion", "moves", "about", "registered", "registrations")
SECONDS_TO_HANG = 60


class KilledError(BaseException):
    """What a killed thread sees from then on."""


class Actor(threading.Thread):
    """One verb.

    finished: whether it is over; result or error then say how, neither where it was killed
    saw: the champion's entry when it first looked
    """

    def __init__(self, name: str, kind: str, verb: Callable[[], Any], *, candidate: Path) -> None:
        """kind: name of the verb; candidate: folder of what it registers"""
        super().__init__(name=name, daemon=True)
        self.kind, self.candidate, self._verb = kind, candidate, verb
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self.killed = self.finished = False
        self.result: Any = None
        self.error: Exception | None = None
        self.saw: bytes | None = None
        self.looked = False

    def run(self) -> None:
        try:
            self.pause()
            self.result = self._verb()
        except KilledError:
            pass
        except Exception as error:
            self.error = error
        self.finished = True
        self._stopped.release()

    def pause(self) -> None:
        """Stop before a step. Called by this thread."""
        if self.killed:
            raise KilledError
        self._stopped.release()
        self._go.acquire()
        if self.killed:
            raise KilledError

    def wait(self) -> None:
        """Wait until it stopped before its next step, or ended. Called by the scheduler."""
        assert self._stopped.acquire(timeout=SECONDS_TO_HANG), f"{self.name} hangs"

    def wake(self) -> None:
        """Let it do one step."""
        self._go.release()
        self.wait()

    def kill(self) -> None:
        """End it before its next step."""
        self.killed = True
        self._go.release()
        self.join(SECONDS_TO_HANG)
        assert self.finished, f"{self.name} survived"

    @property
    def ending(self) -> str:
        """ "killed", the name of an error, or "done"."""
        if self.killed:
            return "killed"
        return type(self.error).__name__ if self.error is not None else "done"


class Clock:
    """Time that passes when somebody says so [s]."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds / 100  # who waits for a lock is woken often: it shall not starve in virtual time


class Stepping:
    """A client that stops before every call, in threads that are actors."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def stepped(*arguments: Any, **options: Any) -> Any:
            pause()
            return found(*arguments, **options)

        return stepped


def pause() -> None:
    """Stop this thread before a step, if it is an actor."""
    thread = threading.current_thread()
    if isinstance(thread, Actor):
        thread.pause()


@contextmanager
def stepping(clock: Clock) -> Iterator[None]:
    """Make every transaction of every ledger a step, and its time that of `clock`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in LEDGER_STEPS:
            patch.setattr(Ledger, name, _stepped(getattr(Ledger, name)))
        patch.setattr(ledger_module, "clock_of", lambda _: lambda _: clock.now)
        patch.setattr(ledger_module, "time", clock)
        patch.setattr(locking, "beating", lambda *_, **__: nullcontext())
        yield


def _stepped(method: Callable[..., Any]) -> Callable[..., Any]:
    def stepped(*arguments: Any, **options: Any) -> Any:
        pause()
        found, thread = method(*arguments, **options), threading.current_thread()
        if method.__name__ == "champion" and isinstance(thread, Actor) and not thread.looked:
            thread.saw, thread.looked = found, True
        return found

    return stepped
