"""The seam between Wattline and a scheduler: Slurm and Flux stand behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from wattline.params import HpcParams, ResourcesParams
from wattline.sites import Profile


class State(StrEnum):
    """What a job is, in the words of Slurm."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"

    @property
    def ended(self) -> bool:
        return self not in (State.PENDING, State.RUNNING)


@dataclass(frozen=True)
class Order:
    """One job that is to be.

    stage: also what it is called
    site: whose profile it is, which the stage's own workers follow
    command: what runs in it, e.g. ["wattline", "run", "train", "--site", "local"]
    folder: where script, log and exit code lie; seen by login node and nodes
    root: the project, seen by both
    token: hexadecimal, of this order alone; it is part of the job's name, so that a job can be found again
    variables: further ones, set in the job
    array: indices where it is an array of equal jobs, e.g. 1-8%2; "" for a single one. Slurm only
    """

    stage: str
    site: str
    command: Sequence[str]
    folder: Path
    root: Path
    token: str
    profile: Profile
    resources: ResourcesParams
    params: HpcParams
    variables: Mapping[str, str] = field(default_factory=dict)
    array: str = ""

    @property
    def name(self) -> str:
        """Of the job, as the scheduler shows it."""
        return f"wattline-{self.stage}-{self.token}"

    @property
    def script(self) -> Path:
        return self.folder / "job.sh"

    @property
    def log(self) -> Path:
        return self.folder / "job.log"

    @property
    def exit_code(self) -> Path:
        """Written by the job when its command has ended and it does not begin again. No other job writes this one."""
        return self.folder / f"exit_code-{self.token}"


@dataclass(frozen=True)
class Look:
    """What the scheduler says of a job now.

    name: of the job: a number that was given anew belongs to another name
    exit_code: of the script, where it ran to its end; None before
    reason: why it waits, or why it ended, in the scheduler's words
    nodes: its machines
    restarts: how often it began again
    queue_seconds, run_seconds: how long it waited and ran, as far as known; of the last attempt [s]
    peak_gib: most memory of a process, where the job ran out of it and that is known [GiB]
    """

    job: str
    name: str
    state: State
    exit_code: int | None = None
    reason: str = ""
    nodes: tuple[str, ...] = ()
    restarts: int = 0
    queue_seconds: float | None = None
    run_seconds: float | None = None
    peak_gib: float | None = None

    @property
    def well(self) -> bool:
        """Whether it ended as it should. The state decides: the exit code of a cancelled job is 0."""
        return self.state is State.COMPLETED and not self.exit_code


class Scheduler(Protocol):
    """A scheduler. Every call raises UnreachableError while its controller does not answer, InputError with the remedy
    for what it refuses."""

    name: str

    def render(self, order: Order) -> str:
        """The script, commented for who reads it."""
        ...

    def submit(self, order: Order) -> str:
        """Hand in `order.script`, and give the job's number."""
        ...

    def find(self, name: str) -> str | None:
        """The number of the job of that name, of this user, whatever its state; None where there is none."""
        ...

    def look(self, job: str) -> Look | None:
        """The job now; None where neither controller nor accounting knows it."""
        ...

    def cancel(self, job: str) -> None:
        """End it. One that has ended already is left alone."""
        ...
