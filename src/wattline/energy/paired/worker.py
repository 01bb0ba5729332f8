"""What a session asks of a contender: a process of its own that answers the fixed requests, and says what it took."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from wattline.errors import WattlineError
from wattline.task import Outputs

Name = Literal["candidate", "baseline"]


class BrokenError(WattlineError):
    """Something that a session rests on broke, so that it says nothing. The message tells what, in one sentence."""


class Answered(NamedTuple):
    """What answering took, by the clocks of who answered.

    seconds: from the first request to the last answer [s]
    cpu_seconds: CPU time of the process [s]
    waited_seconds: how long it was ready to run while others had the core [s]
    """

    seconds: float
    cpu_seconds: float
    waited_seconds: float

    @property
    def stalled_seconds(self) -> float:
        """What neither computing nor waiting for a core explains: an accelerator at work, or a process that was
        stopped [s]."""
        return max(0.0, self.seconds - self.cpu_seconds - self.waited_seconds)


class Worker(Protocol):
    """One process that holds a contender and the requests. Every method raises BrokenError when it broke.

    It may load on its own: then the first order raises InputError where the contender cannot be loaded.
    """

    pid: int

    def answer(self, passes: int) -> Answered:
        """Answer all requests `passes` times."""
        ...

    def answers_sha256(self) -> str:
        """Digest of the answers of the last pass."""
        ...

    def answers(self) -> Outputs:
        """The answers of the last pass, in the order of the requests."""
        ...

    def stop(self) -> None:
        """End the process, whatever state it is in; never raises."""
        ...


@dataclass(frozen=True)
class Entrant:
    """Who takes part.

    digest: of the candidate record
    load: starts one process more; raises InputError where the contender cannot be loaded at all
    score: headline metric of answers; NaN where it is undefined
    """

    name: Name
    digest: str
    load: Callable[[], Worker]
    score: Callable[[Outputs], float]
