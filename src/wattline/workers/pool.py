"""Units handed to workers: a few at a time, results in order, a sentence where workers die."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import distributed
from distributed.protocol import pickle
from distributed.scheduler import KilledWorker

from wattline.errors import InputError, WattlineError
from wattline.sites import Profile

LOOK_SECONDS = 2.0
AHEAD = 2
"""Units in flight for each worker: one that it works on, and one whose result waits for those before it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Watch(Protocol):
    """Who looks after the workers while nothing comes from them."""

    def look(self) -> None:
        """Bring back workers that died. Raises WattlineError where that is hopeless."""
        ...

    def moved(self) -> None:
        """A result has come."""
        ...


@dataclass(frozen=True)
class Pool:
    """Workers that can be handed units.

    site: what their profile is called
    """

    client: distributed.Client
    watch: Watch
    site: str
    profile: Profile
    title: str
    root: Path = field(default_factory=Path.cwd)

    def each(self, function: Callable[[Item], Result], items: Iterable[tuple[str, Item]]) -> Iterator[Result]:
        """Results in the order of the items. Raises what `function` raises for the first item that fails."""
        waiting: deque[tuple[str, Any]] = deque()
        for name, item in items:
            self._wait_for_a_worker([future for _, future in waiting])
            waiting.append((name, self.client.submit(work, str(self.root), function, item, pure=False)))
            if len(waiting) >= AHEAD * self.profile.dask.workers:
                yield self._result(*waiting.popleft())
        while waiting:
            yield self._result(*waiting.popleft())

    def _wait_for_a_worker(self, futures: list[Any]) -> None:
        """Until one is free: a unit that queues behind one that kills its worker would be blamed, too."""
        busy = [future for future in futures if not future.done()]
        if len(busy) >= self.profile.dask.workers:
            with suppress(CancelledError):  # told when the result is fetched
                self._wait(busy, return_when="FIRST_COMPLETED")

    def _result(self, name: str, future: Any) -> Any:
        try:
            self._wait([future], return_when="ALL_COMPLETED")
            return future.result()
        except KilledWorker as killed:
            raise WattlineError(self._deaths(name, killed.allowed_failures + 1)) from None
        except CancelledError:
            raise WattlineError(f"{self.title}: the work on {name} got lost with Dask's scheduler; try again") from None

    def _wait(self, futures: list[Any], *, return_when: str) -> None:
        while True:
            try:
                with self.client.as_current():
                    distributed.wait(futures, timeout=LOOK_SECONDS, return_when=return_when)
                break
            except TimeoutError:
                self.watch.look()
        self.watch.moved()

    def _deaths(self, name: str, count: int) -> str:
        dask = self.profile.dask
        limits = f"dask.memory_gib ({dask.memory_gib:g} GiB)"
        if dask.jobs:
            limits += f" or takes longer than dask.minutes ({dask.minutes} min)"
        return (
            f"{self.title}: {count} workers died of {name}, one after the other; if it needs more than {limits}, "
            f"raise that in deploy/sites/{self.site}.yaml"
        )


def check(function: Callable[..., Any], *, title: str, site: str) -> None:
    """Raise InputError when a function cannot be sent to workers."""
    try:
        pickle.dumps(function)
    except Exception as error:
        raise InputError(
            f"{title}: what is to be done cannot be sent to workers: {' '.join(str(error).split())}; keep locks and "
            f"open files out of the task, or set dask.workers to 0 in deploy/sites/{site}.yaml"
        ) from None


def work(root: str, function: Callable[[Item], Result], item: Item) -> Result:
    """What a worker does: paths are seen from the project's root, wherever it was started."""
    try:
        os.chdir(root)
    except OSError as error:
        raise InputError(
            f"{os.uname().nodename} does not see the project at {root} ({error.strerror}); put it on a file system "
            "that all nodes share"
        ) from None
    return function(item)


class Place(distributed.WorkerPlugin):  # type: ignore[misc]
    """Lets a worker import what this process can: the task in the project's folder."""

    name = "place"
    idempotent = True

    def __init__(self) -> None:
        root = Path.cwd()
        self.paths = [path for path in sys.path if path and Path(path).is_relative_to(root)]

    def setup(self, worker: distributed.Worker) -> None:  # noqa: ARG002
        """Of one worker. What its own environment has comes first."""
        sys.path.extend(path for path in self.paths if path not in sys.path)
