"""What can go wrong between a client and a server, and when: told to a proxy by a test."""

import re
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """The server is not asked; the client is answered with this status and MLflow's kind of error."""

    status: int


@dataclass(frozen=True)
class Late:
    """The server has done its work at once; its answer comes late. [s]"""

    seconds: float


@dataclass(frozen=True)
class Unasked:
    """The connection breaks before the server has seen the request."""


@dataclass(frozen=True)
class Unanswered:
    """The server has done its work; the connection breaks before the client knows."""


@dataclass(frozen=True)
class Cut:
    """The connection breaks in the middle of the body of the answer."""


@dataclass(frozen=True)
class Flip:
    """One bit of the body of the answer is another one. position: the byte, from the end if negative"""

    position: int = 0


Fault = Answer | Late | Unasked | Unanswered | Cut | Flip


@dataclass(frozen=True)
class Seen:
    """A request that reached the proxy. status: what the client was told; None where the connection broke."""

    method: str
    path: str
    fault: Fault | None
    status: int | None


@dataclass
class Rule:
    """A fault for some of the requests: those that match are counted, and from the `first` one on `times` are hit."""

    fault: Fault
    method: str
    path: str
    first: int
    times: int | None
    matched: int = 0

    def hits(self, method: str, path: str) -> bool:
        """Count the request, and say whether it is one that the fault is for."""
        if not (re.fullmatch(self.method, method) and re.search(self.path, path)):
            return False
        self.matched += 1
        return self.matched >= self.first and (self.times is None or self.matched < self.first + self.times)


@dataclass
class Plan:
    """Rules, and what happened under them. Every request is counted by every rule; the first rule that hits decides."""

    _rules: list[Rule] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rule: Rule) -> None:
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._seen.clear()

    def next(self, method: str, path: str) -> Fault | None:
        """The fault for a request that has just come."""
        with self._lock:
            hit = [rule.fault for rule in self._rules if rule.hits(method, path)]
            return hit[0] if hit else None

    def record(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)

    @property
    def seen(self) -> tuple[Seen, ...]:
        with self._lock:
            return tuple(self._seen)
