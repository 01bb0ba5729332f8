"""Concurrent requests share runs of the graph: bounded delay, answers that are never crossed."""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wattline.params.serving import BatchingParams
from wattline.serving.queue import Queue
from wattline.serving.refusal import RefusedError
from wattline.task import FloatArray

LOG = logging.getLogger("wattline.serving")
Outputs = dict[str, NDArray[Any]]
Done = Callable[[Outputs | RefusedError, int], None]
"""Called with the outputs of a whole run and the row at which this request's answers begin."""

INLINE_SECONDS = 0.004
"""A run that is expected to be shorter stays on the event loop: handing it to a thread and back costs more."""


class Runnable(Protocol):
    """What a batcher needs of an engine."""

    def run(self, windows: FloatArray, units: NDArray[np.int64], *, options: Any = None) -> Outputs: ...

    def options(self) -> Any:
        """Fresh options of one run; setting `terminate` on them ends it."""


class Watcher(Protocol):
    """Who wants to know what a batcher does."""

    def ran(self, windows: int, seconds: float) -> None: ...

    def spent(self, cpu_seconds: float) -> None:
        """Called after each run, of one that failed, too, with the CPU time of the thread that ran the graph [s]."""

    def waited(self, seconds: float) -> None: ...

    def failed(self, windows: int, error: Exception) -> None: ...


def _nobody(_outputs: Outputs | RefusedError, _row: int) -> None:
    """In place of who was answered already, or left."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One request in the queue.

    position: windows that were handed to a run already; parts: outputs of those, for a request of several runs
    alone: whether it needs a run of its own, since one with others failed
    """

    windows: FloatArray
    units: NDArray[np.int64]
    deadline: float
    done: Done
    queued: float
    waiting: bool = True
    alone: bool = False
    position: int = 0
    parts: list[Outputs] = field(default_factory=list)
    batcher: "Batcher | None" = None

    def answer(self, outputs: Outputs | RefusedError, row: int) -> None:
        """Call `done`, and let go of it: who waits for a ticket holds it too, and such a cycle holds a whole body.

        Raises nothing: whoever fails to make a reply out of its own answer must not take that of others with it.
        """
        done, self.done = self.done, _nobody
        try:
            done(outputs, row)
        except Exception as error:
            LOG.exception("an answer of the model could not be made into a reply")
            with contextlib.suppress(Exception):
                done(error if isinstance(error, RefusedError) else _broken(), 0)

    def cancel(self) -> None:
        """Give the place back; `done` will not be called. A run that serves nobody else is stopped."""
        if self.batcher is not None:
            self.batcher.forget(self)
        self.done = _nobody


class _Run:
    """One run of the graph: who is in it, and with which of their windows."""

    def __init__(self, pieces: list[tuple[Ticket, int, int]], options: Any) -> None:
        self.pieces = pieces
        self.options = options
        self.windows = sum(stop - start for _, start, stop in pieces)

    def inputs(self) -> tuple[FloatArray, NDArray[np.int64]]:
        if len(self.pieces) == 1:
            ticket, start, stop = self.pieces[0]
            return ticket.windows[start:stop], ticket.units[start:stop]
        windows = [ticket.windows[start:stop] for ticket, start, stop in self.pieces]
        return np.concatenate(windows), np.concatenate(
            [ticket.units[start:stop] for ticket, start, stop in self.pieces]
        )

    def stop_if_abandoned(self) -> None:
        if not any(ticket.waiting for ticket, _, _ in self.pieces):
            self.options.terminate = True


class Batcher:
    """Runs one engine for many requests. All of its methods belong to the event loop's thread."""

    def __init__(
        self,
        engine: Runnable,
        params: BatchingParams,
        *,
        queue: Queue,
        watcher: Watcher,
        arriving: Callable[[], int] = lambda: 0,
        seconds_per_window: float = math.inf,
        inline: bool = True,
    ) -> None:
        """Serve `engine`.

        arriving: how many more requests are being received right now
        seconds_per_window: first guess, from the warm-up [s]
        inline: whether short runs may stay on the event loop
        """
        self._engine, self._params, self._queue, self._watcher = engine, params, queue, watcher
        self._arriving = arriving
        self._seconds_per_window = seconds_per_window
        self._longest_inline = INLINE_SECONDS if inline else 0.0
        self._loop = asyncio.get_running_loop()
        self._tickets: deque[Ticket] = deque()
        self._waiting = 0
        self._run: _Run | None = None
        self._dispatching = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._work: SimpleQueue[_Run | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, windows: FloatArray, units: NDArray[np.int64], *, deadline: float, done: Done) -> Ticket:
        """Queue one request; `done` gets its answers, or a RefusedError, once, on the event loop.

        windows: (n, steps, columns); units: (n,); deadline: instant of time.monotonic()
        Raises RefusedError 503 as Queue.check does.
        """
        queue, count, now = self._queue, len(units), time.monotonic()
        queue.check(count, deadline - now)
        queue.windows += count
        ticket = Ticket(windows, units, deadline, done, now, batcher=self)
        self._tickets.append(ticket)
        self._waiting += count
        self._idle.clear()
        if self._run is None and not self._dispatching:
            # At the end of this turn of the loop: whatever else has arrived by then joins the run.
            self._dispatching = True
            self._loop.call_soon(self._dispatch)
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """Give the place of `ticket` back. Raises nothing, also when it was answered before."""
        if not ticket.waiting:
            return
        self._release(ticket)
        if ticket in self._tickets:
            self._tickets.remove(ticket)
            self._waiting -= len(ticket.units) - ticket.position
        if self._run is not None:
            self._run.stop_if_abandoned()
        self._rest()

    def expire(self, now: float) -> None:
        """Answer 504 to everybody whose deadline has passed."""
        late = [ticket for ticket in self._everybody() if ticket.waiting and ticket.deadline <= now]
        for ticket in late:
            self.forget(ticket)
            ticket.answer(_late(), 0)

    async def drain(self) -> None:
        """Wait until nobody waits, then end the thread."""
        await self._idle.wait()
        if self._thread is not None:
            self._work.put(None)
            self._thread = None

    def _everybody(self) -> Iterator[Ticket]:
        yield from self._tickets
        for ticket, _, _ in self._run.pieces if self._run else ():
            yield ticket

    def _dispatch(self) -> None:
        self._dispatching = False
        if self._run is not None or not self._tickets:
            return
        if self._params.maximum_delay_ms and self._waiting < self._params.maximum_windows and self._arriving():
            waited = time.monotonic() - self._tickets[0].queued
            remaining = self._params.maximum_delay_ms / 1000 - waited
            if remaining > 0:
                self._dispatching = True
                self._loop.call_later(remaining, self._dispatch)
                return
        self._start(_Run(self._next_pieces(), self._engine.options()))

    def _next_pieces(self) -> list[tuple[Ticket, int, int]]:
        """Fill one run in order of arrival. The rest of a large request goes to the back."""
        room, now = self._params.maximum_windows, time.monotonic()
        pieces: list[tuple[Ticket, int, int]] = []
        while self._tickets and room and not (pieces and (self._tickets[0].alone or pieces[-1][0].alone)):
            ticket = self._tickets.popleft()
            if not ticket.position and not ticket.alone:
                self._watcher.waited(now - ticket.queued)
            start = ticket.position
            stop = min(len(ticket.units), start + room)
            ticket.position = stop
            room -= stop - start
            self._waiting -= stop - start
            pieces.append((ticket, start, stop))
        last = pieces[-1][0]
        if last.position < len(last.units):
            self._tickets.append(last)
        return pieces

    def _start(self, run: _Run) -> None:
        self._run = run
        if run.windows * self._seconds_per_window <= self._longest_inline:
            self._finish(run, *_execute(self._engine, run))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, args=(self._work,), daemon=True, name="graph")
            self._thread.start()
        self._queue.running += 1
        self._work.put(run)

    def _serve(self, work: "SimpleQueue[_Run | None]") -> None:
        while (run := work.get()) is not None:
            outcome = _execute(self._engine, run)
            try:
                self._loop.call_soon_threadsafe(self._return, run, *outcome)
            except RuntimeError:  # the loop was closed: nobody waits any more
                return

    def _return(self, run: _Run, outputs: Outputs | Exception, seconds: float, cpu_seconds: float) -> None:
        self._queue.running -= 1
        self._finish(run, outputs, seconds, cpu_seconds)

    def _finish(self, run: _Run, outputs: Outputs | Exception, seconds: float, cpu_seconds: float) -> None:
        self._run = None
        self._watcher.spent(cpu_seconds)
        if isinstance(outputs, Exception):
            self._fail(run, outputs)
        else:
            self._learn(seconds / run.windows)
            self._watcher.ran(run.windows, seconds)
            self._hand_out(run, outputs)
        self._rest()
        if self._tickets and not self._dispatching:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def _hand_out(self, run: _Run, outputs: Outputs) -> None:
        row = 0
        for ticket, start, stop in run.pieces:
            count = stop - start
            if ticket.waiting:
                if count == len(ticket.units):
                    self._release(ticket)
                    ticket.answer(outputs, row)
                else:
                    ticket.parts.append({name: values[row : row + count] for name, values in outputs.items()})
                    if stop == len(ticket.units):
                        self._release(ticket)
                        names = ticket.parts[0]
                        ticket.answer(
                            {name: np.concatenate([part[name] for part in ticket.parts]) for name in names}, 0
                        )
            row += count

    def _fail(self, run: _Run, error: Exception) -> None:
        """One request may have broken the run of all: each gets a run of its own; alone, it is told."""
        waiting = [(ticket, start, stop) for ticket, start, stop in run.pieces if ticket.waiting]
        if len(waiting) > 1:
            for ticket, start, stop in reversed(waiting):
                if ticket in self._tickets:
                    self._tickets.remove(ticket)
                ticket.alone, ticket.position = True, start
                self._tickets.appendleft(ticket)
                self._waiting += stop - start
            return
        for ticket, _, _ in waiting:
            self._watcher.failed(len(ticket.units), error)
            self.forget(ticket)
            ticket.answer(_broken(), 0)

    def _release(self, ticket: Ticket) -> None:
        ticket.waiting = False
        self._queue.windows -= len(ticket.units)

    def _rest(self) -> None:
        if not self._tickets and self._run is None:
            self._idle.set()

    def _learn(self, seconds: float) -> None:
        known = self._seconds_per_window
        self._seconds_per_window = seconds if math.isinf(known) else 0.9 * known + 0.1 * seconds
        self._queue.seconds_per_window = self._seconds_per_window


def _execute(engine: Runnable, run: _Run) -> tuple[Outputs | Exception, float, float]:
    """Outputs, or what went wrong, how long it took, and the CPU time of this thread [s]."""
    began, cpu_began = time.perf_counter(), time.thread_time()
    outputs: Outputs | Exception
    try:
        windows, units = run.inputs()
        outputs = engine.run(windows, units, options=run.options)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        outputs = error
    return outputs, time.perf_counter() - began, time.thread_time() - cpu_began


def _late() -> RefusedError:
    return RefusedError("the deadline passed before there was an answer", status=504, reason="deadline")


def _broken() -> RefusedError:
    # The message may hold values of the caller's or paths of ours: it goes to the log, not to the caller.
    return RefusedError("the model failed on this request; the server's log says why", status=500, reason="model")
