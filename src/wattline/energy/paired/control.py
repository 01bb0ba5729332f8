"""The A/A control: what the session finds where there is nothing to find."""

import math

from wattline.energy.paired.observations import log_ratios
from wattline.energy.paired.sequence import Bounds, blocks_needed, bounds, level
from wattline.params import EnergyLimits
from wattline.records import EnergyTest

# A difference between two processes of one contender (where they lie in memory, which core they run on) is there on
# every machine, and a steady meter finds the least of it. This share of the margin cannot turn an answer.
NEGLIGIBLE = 0.1


def control_bounds(test: EnergyTest, limits: EnergyLimits) -> Bounds:
    """Log-ratio of the contender against itself, two-sided at `alpha`.

    All controls are taken with the first pairs and none is added later, so that further looks see the same figures:
    a sound session is refused by chance with risk `alpha`, once. It is the price of a session, never a wrong PASS.
    """
    return bounds(log_ratios(test, "control"), level=limits.alpha / 2)


def pairs_needed(control: Bounds, limits: EnergyLimits, *, minimum: int, maximum: int) -> int:
    """Pairs that the declared power asks for if they are as noisy as the controls, at the risk of the last look."""
    last = level(maximum, minimum=minimum, maximum=maximum, alpha=limits.alpha)
    return blocks_needed(control.deviation, margin=limits.margin, level=last, power=limits.power)


def distrust(control: Bounds, limits: EnergyLimits, *, needed: int, maximum: int) -> str | None:
    """Why the control forbids an answer, or None.

    It rejects when its interval excludes ratio 1, unless all of it is negligible beside the margin.
    """
    harmless = max(abs(control.low), abs(control.high)) <= NEGLIGIBLE * math.log1p(limits.margin)
    if not control.low <= 0 <= control.high and not harmless:
        return (
            f"the control, one contender against itself, found a ratio of {control} where 1 is true; "
            "run the session again, on a quieter machine if it comes back"
        )
    if needed > maximum:
        return (
            f"the control varies by {control.deviation:.2%} a block, at which {needed} pairs are needed to tell a "
            f"margin of {limits.margin:.1%} with power {limits.power:.0%} (measure.session.maximum_blocks: {maximum}); "
            "lengthen measure.session.sample_seconds, allow more blocks, or use a quieter machine"
        )
    return None
