"""What `wattline sweep` varies, how often, and by which figure it compares."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from wattline.params.section import Positive, Section

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
Scalar = bool | int | float | str


class KnobParams(Section):
    """Values that one option may take: between two numbers, or one of a list.

    low, high: ends, which belong to it; whole numbers where both are [unit of the option]
    log: whether to draw evenly in the logarithm
    step: distance between two values; any value, or every whole number, where null [unit of the option]
    choices: these instead
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    choices: tuple[Scalar, ...] = ()

    @model_validator(mode="after")
    def _is_a_range_or_a_list(self) -> Self:
        """Raise unless it is one of the two, whole, and holds more than one value."""
        ends = (self.low, self.high)
        if self.choices:
            if ends != (None, None) or self.log or self.step is not None:
                raise ValueError("choices stand alone; remove low, high, log and step")
            if len({(type(one), one) for one in self.choices}) < len(self.choices) or len(self.choices) < 2:
                raise ValueError("choices must be at least two different values")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices; add them")
        if not self.low < self.high:
            raise ValueError("low must be < high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low > 0 and no step")
        if self.step is not None and not _divides(self.step, self.high - self.low):
            raise ValueError("high must be low and a multiple of step")
        if self.is_whole and isinstance(self.step, float):
            raise ValueError("step must be a whole number, as low and high are")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _divides(step: float, span: float) -> bool:
    return abs(span / step - round(span / step)) < 1e-6


class PrunerParams(Section):
    """When a trial is given up because others did better at the same share of their work.

    kind: none; median: worse than the median of the others; halving: only the best quarter goes on at each rung
    first_trials: so many are run to their end before any is given up; for median
    first_share: before that share of its work none is given up
    """

    kind: Literal["none", "median", "halving"] = "none"
    first_trials: int = Field(default=5, ge=1)
    first_share: float = Field(default=0.1, gt=0, le=1)


class SweepParams(Section):
    """Trials of the section `train` with other options, compared on the validation part.

    trials: how many; the first one has the present values
    workers: processes, or jobs of an array, that run trials at once
    at_once: jobs of the array that may run at the same time; as many as the scheduler starts, where null
    objective: a figure of the training curves, e.g. validation_loss, or a metric of the task, computed on the
        validation part where that is labelled
    better: which way a figure of the curves is better; a metric says so itself
    epoch: whose figure counts: that of the best epoch, for a task that keeps those weights, or of the last one
    sampler: tpe looks where earlier trials were good; random does not, and draws the same for any number of workers
    pruner: when a trial is given up
    storage: journal, a file in the state folder; or sql, the database that WATTLINE_SWEEP_STORAGE names
    attempts: how often a trial begins whose worker died, before it counts as failed
    heartbeat_seconds: between two signs of life of a worker; after three that fail to come its trial begins anew [s]
    options: what differs from the section `train` in every trial, the first one included; none that `space` varies
    space: dotted key of `train` -> the values it may take: {low, high, log, step} or {choices}
    """

    trials: int = Field(default=20, ge=2)
    workers: int = Field(default=1, ge=1)
    at_once: int | None = Field(default=None, ge=1)
    objective: str = Field(default="validation_loss", min_length=1)
    better: Literal["lower", "higher"] = "lower"
    epoch: Literal["best", "last"] = "best"
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: PrunerParams = PrunerParams()
    storage: Literal["journal", "sql"] = "journal"
    attempts: int = Field(default=3, ge=1)
    heartbeat_seconds: Positive = 20.0
    options: Mapping[str, Any] = {}
    space: Mapping[Key, KnobParams]

    @field_validator("space", mode="before")
    @classmethod
    def _names_a_knob(cls, value: Any) -> Any:
        if not value:
            raise ValueError("must name at least one option to vary")
        return value
