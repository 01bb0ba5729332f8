"""What a session of the energy test says: PASS, FAIL, or REFUSE, from nothing but what was observed."""

from typing import Literal

from wattline.params import EnergyLimits, SessionParams
from wattline.records import EnergyTest, Figure, Record


class Judgement(Record):
    """The answer of an energy test.

    ratio: candidate / baseline, energy without idle power, geometric mean over blocks; NaN without a baseline
    interval: of `ratio`, at the confidence that the declared risks and the number of looks ask for
    control_ratio, control_interval: the same contender against itself, at the confidence of the control
    blocks: pairs that it rests on
    blocks_needed: pairs that the declared power asks for, given the noise of the controls; 0 where it is unknown
    loss: by how much the candidate's answers are worse than the baseline's [unit of the headline metric]; NaN without
    more: whether more blocks could still change the answer; `looks` says how many
    """

    outcome: Literal["PASS", "FAIL", "REFUSE"]
    reason: str
    ratio: Figure
    interval: tuple[Figure, Figure]
    control_ratio: Figure
    control_interval: tuple[Figure, Figure]
    blocks: int
    blocks_needed: int
    loss: Figure = float("nan")
    more: bool = False


def judge(
    test: EnergyTest, limits: EnergyLimits, *, tolerance: float, maximum_blocks: int, session: SessionParams
) -> Judgement:
    """Hold a session against the declared margin.

    tolerance: how much worse the candidate's answers may be [unit of the headline metric]
    maximum_blocks: pairs after which the answer is that there is none; looks are planned with it
    session: the fewest blocks, and the limits of idle drift and of other load
    """
    raise NotImplementedError


def looks(minimum: int, maximum: int) -> tuple[int, ...]:
    """Numbers of pairs at which a session is judged: `minimum`, doubled until `maximum`, which is the last."""
    raise NotImplementedError
