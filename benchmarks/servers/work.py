"""What a client is told to do, and what it saw."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Phase:
    """A stretch of the load.

    rate: requests that become due in a second, at random instants; 0: each connection asks as soon as it is answered
    """

    seconds: float
    rate: float = 0.0


@dataclass(frozen=True)
class Work:
    """What to ask, how, and what the answers must be.

    requests: files that hold one whole HTTP request each, asked in turn
    expected: version -> scores for each request; the version is "" for a server that names none
    connections: open at most; a request that is due while all are busy waits, and its clock runs
    patience: an answer that comes later is no good one, and a request that waits longer is given up [s]
    warm: at the begin, not counted [s]
    count: end after so many answers; 0: when the phases are over
    keep_alive: whether a connection is used again
    """

    port: int
    requests: tuple[str, ...]
    expected: Mapping[str, Sequence[Sequence[float]]]
    phases: tuple[Phase, ...]
    connections: int
    patience: float = 60.0
    warm: float = 0.0
    count: int = 0
    keep_alive: bool = True

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)


@dataclass
class Seen:
    """Every answer, in the order of arrival.

    due: instant at which its request was due, since the begin [s]
    latency: from then to the answer [s]
    good: whether that was a 200, right, and within patience
    statuses: HTTP status -> answers; "lost": the connection ended first; "unanswered": none came; "given up": not sent
    versions: version that a 200 names -> answers
    wrong: answers 200 whose scores are not those of the version that they name
    """

    due: Any = field(default_factory=lambda: array("d"))
    latency: Any = field(default_factory=lambda: array("d"))
    good: Any = field(default_factory=lambda: array("b"))
    statuses: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    wrong: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as lists and mappings."""
        lists = {name: getattr(self, name).tolist() for name in ("due", "latency", "good")}
        return {**lists, "statuses": dict(self.statuses), "versions": dict(self.versions), "wrong": self.wrong}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Seen":
        """The reverse, with arrays of numpy."""
        arrays = {name: np.asarray(given.pop(name)) for name in ("due", "latency", "good")}
        counters = {name: Counter(given.pop(name)) for name in ("statuses", "versions")}
        return cls(**arrays, **counters, **given)

    @property
    def failures(self) -> int:
        """Requests without an answer 200."""
        return sum(self.statuses.values()) - self.statuses["200"]
