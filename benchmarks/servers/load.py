"""A client that asks as fast as it is answered, or at a given rate whatever the server does.

python -m servers.load < WORK.json     prints what it saw as JSON

Latency counts from the instant at which a request was due, so that a server which stalls cannot hide it by delaying
the requests that would have waited.
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop

from servers.connection import Connection
from servers.payloads import scores
from servers.work import Phase, Seen, Work

SPIN_SECONDS = 0.0015
"""The loop's timers are a millisecond coarse: the last stretch before a request is due is spent polling."""
LATE_REQUESTS = 16
"""How many requests that are already late go out before answers are looked at."""
END_SECONDS = 10.0
"""How long answers that are under way at the end are waited for, at most."""
TOLERANCE = 1e-4


class Client:
    """Hands due requests to connections and judges what comes back."""

    def __init__(self, work: Work) -> None:
        self.seen = Seen()
        self._work = work
        self._requests = [Path(path).read_bytes() for path in work.requests]
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[float] = deque()
        self._turn = 0
        self._closed_loop = not work.phases[0].rate
        self._over = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Seen:
        """Work through the phases, then wait for what is under way."""
        instants = schedule(self._work.phases)
        self._begin = time.perf_counter()
        end = self._begin + self._work.seconds
        if self._closed_loop:
            for _ in range(self._work.connections):
                self._ask(self._begin)
        else:
            await self._follow(instants)
        while time.perf_counter() < end and not self._over:
            await asyncio.sleep(0.01)
        if self._closed_loop:  # those under way are neither answered nor failed
            self._over = True
            return self.seen
        limit = time.perf_counter() + min(self._work.patience, END_SECONDS)
        while len(self._idle) < self._open and time.perf_counter() < limit:
            await asyncio.sleep(0.01)
        self._over = True
        self.seen.statuses["unanswered"] += len(self._waiting) + self._open - len(self._idle)
        return self.seen

    async def _follow(self, instants: np.ndarray) -> None:
        for number, instant in enumerate(instants.tolist()):
            due = self._begin + instant
            while (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(0.0, wait - SPIN_SECONDS))
            self._ask(due)
            if number % LATE_REQUESTS == 0:
                await asyncio.sleep(0)

    def _ask(self, due: float) -> None:
        """Send the next request now, or as soon as a connection is free."""
        if self._idle:
            self._send(self._idle.pop(), due)
        elif self._open < self._work.connections:
            self._open += 1
            task = asyncio.ensure_future(self._connect(due))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        else:
            self._waiting.append(due)

    async def _connect(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._work.port)
        except OSError:
            self._open -= 1
            self._lose()
        else:
            self._send(connection, due)

    def _send(self, connection: Connection, due: float) -> None:
        self._turn = (self._turn + 1) % len(self._requests)
        connection.send(self._requests[self._turn], self._turn, due)

    def answered(self, connection: Connection, status: str, head: bytes, body: bytes) -> None:
        """Judge an answer and go on."""
        now = time.perf_counter()
        if self._over:
            return
        self._judge(connection, status, head, body, now)
        if not self._work.keep_alive or b"connection: close" in head.lower():
            connection.close()
        elif (due := self._next(now)) is not None:
            self._send(connection, due)
        else:
            self._idle.append(connection)

    def ended(self, connection: Connection) -> None:
        """A connection is closed, by whomever."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        elif connection.busy:
            self._lose()
            return
        if (due := self._next(time.perf_counter())) is not None:
            self._ask(due)

    def _lose(self) -> None:
        if self._over:
            return
        self.seen.statuses["lost"] += 1
        if (due := self._next(time.perf_counter())) is not None:
            self._ask(due)

    def _next(self, now: float) -> float | None:
        """When the next request was due that may be sent now; None: there is none."""
        while self._waiting:
            due = self._waiting.popleft()
            if now - due <= self._work.patience:
                return due
            self.seen.statuses["given up"] += 1
        return now if self._closed_loop and not self._over else None

    def _judge(self, connection: Connection, status: str, head: bytes, body: bytes, now: float) -> None:
        seen, due = self.seen, connection.due - self._begin
        if due < self._work.warm:
            return
        right = status == "200" and self._right(connection.turn, head, body)
        seen.statuses[status] += 1
        seen.due.append(due)
        seen.latency.append(now - connection.due)
        seen.good.append(right and now - connection.due <= self._work.patience)
        if self._work.count and len(seen.due) >= self._work.count:
            self._over = True

    def _right(self, turn: int, head: bytes, body: bytes) -> bool:
        """Whether the scores are those of the version that the answer names."""
        version, found = scores(head, body)
        expected = self._work.expected.get(version) or self._work.expected.get("")
        right = expected is not None and close(found, expected[turn])
        self.seen.versions[version] += 1
        self.seen.wrong += not right
        return right


def close(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether two lists of scores agree within TOLERANCE, relative above one."""
    return len(found) == len(expected) and all(
        abs(one - other) <= TOLERANCE * max(1.0, abs(other)) for one, other in zip(found, expected, strict=True)
    )


def schedule(phases: Sequence[Phase]) -> np.ndarray:
    """Instants of independent arrivals (a Poisson process) in all phases, sorted [s since the begin]."""
    generator, begin, parts = np.random.default_rng(11), 0.0, [np.zeros(0)]
    for phase in phases:
        count = generator.poisson(phase.rate * phase.seconds)
        parts.append(begin + np.sort(generator.random(count)) * phase.seconds)
        begin += phase.seconds
    return np.concatenate(parts)


def main() -> None:
    """Read the work from standard input, print what was seen."""
    given = json.load(sys.stdin)
    phases = tuple(Phase(**phase) for phase in given.pop("phases"))
    seen = uvloop.run(Client(Work(**given, phases=phases)).run())
    json.dump(seen.to_json(), sys.stdout)


if __name__ == "__main__":
    main()
