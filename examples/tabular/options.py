"""The `train` section of params.yaml, typed."""

from typing import Annotated

from pydantic import Field

from wattline.records import Record

Penalty = Annotated[float, Field(gt=0)]


class TrainOptions(Record):
    """Knobs of training.

    history_days: days that one forecast looks back on, today included
    penalties: ridge penalties to try, relative to the number of rows; the one with the best validation error stays
    largest_deviation: a reading counts as so far from a node's usual one at most [standard deviations of the fleet]
    threads: CPU threads of the solver; part of the params because sums of floats depend on it
    """

    history_days: int = Field(ge=1, le=366)
    penalties: tuple[Penalty, ...] = Field(min_length=1)
    largest_deviation: float = Field(gt=0)
    threads: int = Field(ge=1)
