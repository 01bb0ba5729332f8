"""Energy of one activity, and of a training in several attempts."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from wattline.records.base import Record

JOULES_PER_KWH = 3.6e6
Scope = Literal["machine", "devices", "processes"]
"""What a meter cannot tell apart: a whole machine with all that runs on it, whole accelerators, or nothing but us."""


class Energy(Record):
    """Energy of one activity.

    joules: total energy within `boundary` [J]
    interval: 95 % confidence interval of `joules` [J]
    provenance: "measured" (a hardware counter) or "estimated" (a model of one)
    sensor: what was read, e.g. "rapl:package-0" or "CPU time x 12.5 W/core"
    boundary: what is included
    seconds: how long the activity took [s]
    resolution_joules: smallest step that the sensor can tell [J]; None where it was not recorded
    scope: what else is inside the boundary; None where it was not recorded
    parameters: what an estimate rests on, with units and sources
    """

    joules: float = Field(ge=0)
    interval: tuple[float, float]
    provenance: Literal["measured", "estimated"]
    sensor: str
    boundary: str
    seconds: float = Field(ge=0)
    resolution_joules: float | None = Field(default=None, ge=0)
    scope: Scope | None = None
    parameters: Mapping[str, str] = {}

    @property
    def kwh(self) -> float:
        """`joules` as kilowatt-hours."""
        return self.joules / JOULES_PER_KWH

    def scaled(self, factor: float) -> "Energy":
        """The same measurement expressed for `factor` times the work."""
        low, high = self.interval
        resolution = self.resolution_joules
        return self.model_copy(
            update={
                "joules": self.joules * factor,
                "interval": (low * factor, high * factor),
                "seconds": self.seconds * factor,
                "resolution_joules": resolution * factor if resolution is not None else None,
            }
        )


class Attempt(Record):
    """One attempt at a training, by one of its processes.

    number: counted from 1; one that was interrupted is followed by the next
    rank, node: place of the process in a job of several, and of its node; both 0 for a single process
    finished: whether it reached the end; what one that did not used is lost work, and counts
    """

    number: int = Field(ge=1)
    rank: int = Field(ge=0)
    node: int = Field(ge=0)
    finished: bool
    energy: Energy


class TrainingEnergy(Record):
    """Energy of a whole training: every attempt of every process, lost work included.

    total: their sum; estimated as soon as one part is
    ran_on: what the last attempt trained on, as the task told it, e.g. device and precision
    """

    total: Energy
    attempts: tuple[Attempt, ...] = Field(min_length=1)
    ran_on: Mapping[str, str] = {}

    @property
    def launches(self) -> int:
        """How often the training was begun."""
        return max(attempt.number for attempt in self.attempts)
