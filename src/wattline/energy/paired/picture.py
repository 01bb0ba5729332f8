"""The picture of an energy test, from its raw samples."""

from contextlib import suppress

from wattline import charts
from wattline.energy.meters import MeterError
from wattline.energy.paired.figures import gross_per_1000, per_1000
from wattline.energy.paired.observations import log_ratios
from wattline.energy.paired.sequence import ratio
from wattline.records import EnergyTest, Judgement

NAMES = {"candidate": "candidate", "baseline": "champion"}


def draw(test: EnergyTest, judgement: Judgement, *, margin: float) -> bytes:
    """PNG: the ratio of each block beside the margin, and joules with their idle share. A broken session is drawn too.

    margin: what the candidate may cost more, as a share
    """
    ratios = {
        "pair": [ratio(one) for one in log_ratios(test, "pair")],
        "control": [ratio(one) for one in log_ratios(test, "control")],
    }
    return charts.energy_test(test, judgement, margin=margin, ratios=ratios, costs=_costs(test))


def _costs(test: EnergyTest) -> dict[str, charts.Cost]:
    """What 1,000 predictions took [J]; without a contender whose cost cannot be told."""
    costs = {}
    for contender in test.contenders:
        with suppress(MeterError):
            net = per_1000(test, contender.name).joules
            costs[NAMES[contender.name]] = charts.Cost(net, gross_per_1000(test, contender.name).joules - net)
    return costs
