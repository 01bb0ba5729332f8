"""Warming up: a contender works until its cost is steady, and shows how long one pass takes."""

from collections.abc import Callable, Sequence
from math import ceil
from statistics import median
from typing import NamedTuple

from wattline.energy.paired.worker import Answered, BrokenError, Worker

STEPS = 8
"""Steps in each of the two medians that are compared."""
TOLERANCE = 0.02
"""Relative change from one median to the next that is no change."""


class Warm(NamedTuple):
    """How a contender works once it is warm.

    passes: how many it took to get there
    pass_seconds: of the fastest pass of the last steps [s]
    stalled_share: largest share of its time that neither computing nor waiting for a core explains
    """

    passes: int
    pass_seconds: float
    stalled_share: float


def warm_up(
    worker: Worker,
    *,
    name: str,
    step_seconds: float,
    longest_seconds: float,
    cost: Callable[[Answered], float],
    clock: Callable[[], float],
) -> Warm:
    """Let `worker` answer in steps of about `step_seconds` until the medians of two runs of steps agree.

    cost: what must become steady
    clock: seconds since some instant
    Raises BrokenError when it is not steady after `longest_seconds`.
    """
    began, passes = clock(), 1
    single = worker.answer(1)
    size = max(1, ceil(step_seconds / single.seconds)) if single.seconds > 0 else 1
    done: list[Answered] = []
    while not steady([cost(one) for one in done]):
        if clock() - began > longest_seconds:
            raise BrokenError(
                f"the cost of {name} was not steady after {longest_seconds:g} s of warm-up; let the machine calm down, "
                "or set measure.session.warm_up_seconds higher"
            )
        done.append(worker.answer(size))
        passes += size
    last = done[-2 * STEPS :]
    return Warm(
        passes=passes,
        pass_seconds=min(one.seconds for one in last) / size,
        stalled_share=max(one.stalled_seconds / one.seconds if one.seconds > 0 else 0.0 for one in last),
    )


def steady(costs: Sequence[float]) -> bool:
    """Whether the last steps cost what the steps before did: their medians differ by no more than the tolerance, or
    than steps differ among themselves (median absolute deviation), which a trend makes small beside its own way.
    """
    if len(costs) < 2 * STEPS:
        return False
    former, latter = costs[-2 * STEPS : -STEPS], costs[-STEPS:]
    scatter = (_deviation(former) + _deviation(latter)) / 2
    before = median(former)
    return before > 0 and abs(median(latter) - before) <= max(TOLERANCE * before, scatter)


def _deviation(costs: Sequence[float]) -> float:
    middle = median(costs)
    return median(abs(cost - middle) for cost in costs)
