"""What a block says: one log-ratio, of energy without idle power."""

import math
from collections.abc import Iterator
from typing import Literal

from wattline.records import Block, EnergyTest, Sample

PLACES_OF_A: dict[Literal["ABBA", "BAAB"], tuple[int, int]] = {"ABBA": (0, 3), "BAAB": (1, 2)}


def samples(test: EnergyTest, contender: Literal["candidate", "baseline"] | None = None) -> Iterator[Sample]:
    """The readings of a contender, or of both, in the order in which they were taken."""
    for block in test.blocks:
        yield from (sample for sample in block.samples if contender in (None, sample.contender))


def idle_watts(test: EnergyTest) -> float:
    """Idle power of the session: mean of before and after [W]; NaN where one is missing.

    What it is depends on the scope of the meter. "machine": everything on the machine while the contenders wait.
    "devices": the accelerators while they wait. "processes": what the contenders use while they wait, which is about
    nothing, because idle power of the machine is not in such a meter.
    """
    if test.idle_before is None or test.idle_after is None:
        return math.nan
    return (test.idle_before.watts + test.idle_after.watts) / 2


def net_joules(sample: Sample, idle: float) -> float:
    """What the work cost on top of idling for as long [J].

    idle: idle power [W], see `idle_watts`
    """
    return sample.joules - idle * sample.seconds


def log_ratios(test: EnergyTest, kind: Literal["pair", "control"]) -> tuple[float, ...]:
    """Of each block of a kind, mean of log(net energy) of A minus that of B; NaN where one is not positive.

    A is the candidate in a pair, and one of two processes of the same contender in a control.
    """
    idle = idle_watts(test)
    return tuple(_log_ratio(block, idle) for block in test.blocks if block.kind == kind)


def _log_ratio(block: Block, idle: float) -> float:
    logs = [_log(net_joules(sample, idle)) for sample in block.samples]
    first, last = PLACES_OF_A[block.order]
    others = [log for place, log in enumerate(logs) if place not in (first, last)]
    # Sums first: swapped contenders then give exactly the negative.
    return ((logs[first] + logs[last]) - (others[0] + others[1])) / 2


def _log(joules: float) -> float:
    return math.log(joules) if joules > 0 else math.nan
