import math

from wattline.energy.paired.sequence import Bounds

from ..observed import LIMITS, session
from ..promises import gives, says, silent

HARMLESS = 0.1 * math.log1p(LIMITS.margin)


def distrust(low, high, *, needed=6, maximum=32):
    found = Bounds((low + high) / 2, low, high, 0.0125)
    return lambda module: module.distrust(found, LIMITS, needed=needed, maximum=maximum)


CASES = (
    gives(
        "controls are judged two-sided at alpha: 2.571 standard errors for six",
        lambda module: (
            round((c := module.control_bounds(session(), LIMITS)).high - c.mean, 6)
            == round(2.570582 * c.deviation / 6**0.5, 6)
        ),
        True,
    ),
    gives(
        "pairs do not enter",
        lambda module: module.control_bounds(session(ratio=2.0), LIMITS) == module.control_bounds(session(), LIMITS),
        True,
    ),
    gives(
        "pairs needed are those of the last look",
        lambda module: [
            module.pairs_needed(Bounds(0, 0, 0, 0.1), LIMITS, minimum=6, maximum=maximum) for maximum in (6, 32)
        ],
        [11, 15],
    ),
    silent("a control that finds nothing is trusted", distrust(-0.05, 0.05)),
    silent("1 may be its lower bound", distrust(0.0, 0.05)),
    silent("1 may be its upper bound", distrust(-0.05, 0.0)),
    says("one that finds more is not", distrust(0.001, 0.05), "[1.0010, 1.0513] where 1 is true", "again"),
    says("one that finds less is not", distrust(-0.05, -0.001), "[0.9512, 0.9990] where 1 is true"),
    silent("what cannot turn an answer is harmless, above", distrust(0.001, HARMLESS)),
    silent("less is, too", distrust(HARMLESS / 4, HARMLESS / 2)),
    silent("and below", distrust(-HARMLESS, -0.001)),
    says("a little more is not, above", distrust(0.001, HARMLESS * 1.01), "where 1 is true"),
    says("and below", distrust(-HARMLESS * 1.01, -0.001), "where 1 is true"),
    says("an undefined control is not trusted", distrust(math.nan, math.nan), "nan"),
    silent("as many pairs as are allowed may be needed", distrust(-0.05, 0.05, needed=32)),
    says(
        "more may not",
        distrust(-0.05, 0.05, needed=33),
        "varies by 1.25% a block, at which 33 pairs are needed to tell a margin of 10.0% with power 90%",
        "maximum_blocks: 32",
    ),
)
