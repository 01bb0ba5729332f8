"""What an energy test found out, as a record with all samples and as a few lines for a person."""

import math
from collections.abc import Iterator

from wattline.energy.meters import MeterError
from wattline.energy.paired import Judgement, idle_share, per_1000
from wattline.params import EnergyLimits
from wattline.records import Contender, EnergyTest, Record

EXIT_CODES = {"PASS": 0, "FAIL": 1, "REFUSE": 3}


class Comparison(Record):
    """A paired energy test: what was observed, what was concluded, and by which limits."""

    judgement: Judgement
    limits: EnergyLimits
    tolerance: float
    test: EnergyTest


def lines(comparison: Comparison) -> list[str]:
    """The verdict first, then what it rests on."""
    said = comparison.judgement
    return [f"{said.outcome:<8}{said.reason}", *(f"  {line}" for line in _figures(comparison))]


def _figures(comparison: Comparison) -> Iterator[str]:
    said, limits, test = comparison.judgement, comparison.limits, comparison.test
    # Named after what is there: without a baseline, the control is the candidate's.
    itself = test.contenders[-1].name if test.contenders else "contender"
    yield (
        f"ratio      candidate / baseline {_ratio(said.ratio, said.interval)} from {said.blocks} pairs; margin "
        f"{limits.margin:.1%}, alpha {limits.alpha:.1%}, power {limits.power:.0%} ({said.blocks_needed or '?'} pairs)"
    )
    yield f"control    {itself} / {itself} {_ratio(said.control_ratio, said.control_interval)}"
    for contender in test.contenders:
        yield f"{contender.name:<11}{_cost(test, contender)}"
    yield f"accuracy   {_accuracy(comparison)}"
    yield f"sensor     {test.sensor.meter}: {test.sensor.sensor}; {test.sensor.boundary}"
    yield (
        f"session    {test.seconds:.0f} s, {4 * len(test.blocks)} samples of {test.requests.predictions} predictions "
        f"in batches of {test.requests.batch}, overhead {test.overhead:.2%}"
    )


def _ratio(ratio: float, interval: tuple[float, float]) -> str:
    if not math.isfinite(ratio):
        return "unknown"
    return f"{ratio:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"


def _cost(test: EnergyTest, contender: Contender) -> str:
    try:
        energy = per_1000(test, contender.name)
    except MeterError as error:
        return f"energy is unknown: {error}"
    low, high = energy.interval
    return (
        f"{energy.joules:.4g} J [{low:.4g}, {high:.4g}] per 1,000 predictions, {energy.provenance}; "
        f"idle power is {idle_share(test, contender.name):.1%} of what the meter read"
    )


def _accuracy(comparison: Comparison) -> str:
    test = comparison.test
    scores = ", ".join(f"{contender.name} {contender.score:.4g}" for contender in test.contenders) or "unknown"
    metric, windows = f"{test.headline.name} [{test.headline.unit}]", test.requests.windows
    return f"{metric} on the same {windows} windows: {scores}; it may be worse by {comparison.tolerance:g}"
