"""What a session of the energy test says: PASS, FAIL, or REFUSE, from nothing but what was observed."""

from typing import Literal

from wattline.params import EnergyLimits
from wattline.records import EnergyTest, Figure, Record


class Judgement(Record):
    """The answer of an energy test.

    ratio: candidate / baseline, energy without idle power, geometric mean over blocks; NaN without a baseline
    interval: of `ratio`, at the confidence that the declared risks and the number of looks ask for
    blocks: pairs that it rests on
    blocks_needed: pairs that the declared power asks for, given the noise of the controls
    more: whether more blocks could still change the answer
    """

    outcome: Literal["PASS", "FAIL", "REFUSE"]
    reason: str
    ratio: Figure
    interval: tuple[Figure, Figure]
    control_ratio: Figure
    control_interval: tuple[Figure, Figure]
    blocks: int
    blocks_needed: int
    more: bool = False


def judge(test: EnergyTest, limits: EnergyLimits, *, tolerance: float, maximum_blocks: int) -> Judgement:
    """Hold a session against the declared margin.

    tolerance: how much worse the candidate's answers may be [unit of the headline metric]
    """
    raise NotImplementedError
