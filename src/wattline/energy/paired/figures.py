"""What one contender's predictions cost, from the samples of a session."""

import math
from collections.abc import Callable, Iterable
from statistics import stdev
from typing import Literal

from wattline.energy.meters import MeterError
from wattline.energy.paired.observations import idle_watts, net_joules, samples
from wattline.records import Energy, EnergyTest, Sample

Name = Literal["candidate", "baseline"]
NET = "idle power is taken off"
"""What is said of the boundary of a figure without it."""


def per_1000(test: EnergyTest, contender: Name) -> Energy:
    """Energy of 1,000 predictions without idle power, see `observations.idle_watts` for what that is.

    The interval is the sum of three parts, which is never too narrow: chance (Student's t over block means, 95 %:
    samples of one block share the state of the machine), what the meter's resolution allows, and half the change of
    idle power.

    Raises MeterError when there is no idle power or fewer than two blocks, or when nothing is left without idle power.
    """
    watts = idle_watts(test)
    if test.idle_before is None or test.idle_after is None:
        raise MeterError("idle power was not read before and after the samples; run the energy test again")
    doubt = abs(test.idle_after.watts - test.idle_before.watts) / 2
    return _energy(
        test,
        contender,
        lambda sample: net_joules(sample, watts),
        doubt=doubt,
        boundary=NET,
        parameters={"idle power taken off": f"{watts:.6g} W +/- {doubt:.3g} W, mean of before and after"},
    )


def gross_per_1000(test: EnergyTest, contender: Name) -> Energy:
    """Energy of 1,000 predictions as the meter read it, idle power included. Raises MeterError as `per_1000` does."""
    return _energy(test, contender, lambda sample: sample.joules, boundary="idle power is included")


def idle_share(test: EnergyTest, contender: Name) -> float:
    """Share of what the meter read in a contender's samples that was idle power; NaN where it was not found out."""
    readings = list(samples(test, contender))
    joules = sum(sample.joules for sample in readings)
    return idle_watts(test) * sum(sample.seconds for sample in readings) / joules if joules > 0 else math.nan


def _energy(
    test: EnergyTest,
    contender: Name,
    joules_of: Callable[[Sample], float],
    *,
    boundary: str,
    doubt: float = 0.0,
    parameters: dict[str, str] | None = None,
) -> Energy:
    """Energy of 1,000 predictions, as the mean over blocks.

    doubt: uncertainty of idle power [W]
    """
    readings = list(samples(test, contender))
    joules, chance = _block_mean(test, contender, joules_of)
    seconds = _mean_of(sample.seconds for sample in readings)
    below = _mean_of(sample.joules - sample.low for sample in readings) + chance + doubt * seconds
    above = _mean_of(sample.high - sample.joules for sample in readings) + chance + doubt * seconds
    sensor = test.sensor
    return Energy(
        joules=joules,
        interval=(joules - below, joules + above),
        provenance=sensor.provenance,
        sensor=sensor.sensor,
        boundary=f"{sensor.boundary}; {boundary}",
        seconds=seconds,
        resolution_joules=sensor.resolution_joules,
        scope=sensor.scope,
        parameters={**sensor.parameters, **(parameters or {})},
    ).scaled(1000 / test.requests.predictions)


def _block_mean(test: EnergyTest, contender: Name, joules_of: Callable[[Sample], float]) -> tuple[float, float]:
    """Mean over blocks of a contender's energy in a sample, and half its 95 % interval [J]."""
    from scipy.special import stdtrit  # half a second to import, which most commands need not wait for

    blocks = [[joules_of(sample) for sample in block.samples if sample.contender == contender] for block in test.blocks]
    means = [_mean_of(joules) for joules in blocks if joules]
    if len(means) < 2:
        raise MeterError(f"{len(means)} blocks hold samples of the {contender}, and 2 are needed; let the session end")
    mean = _mean_of(means)
    if mean <= 0 or not math.isfinite(mean):
        raise MeterError(
            f"a sample of the {contender} cost {mean:.4g} J by {test.sensor.sensor}: the meter did not count, "
            "or idle power outweighs the work; raise measure.session.sample_seconds or see `wattline energy doctor`"
        )
    return mean, float(stdtrit(len(means) - 1, 0.975)) * stdev(means) / math.sqrt(len(means))


def _mean_of(values: Iterable[float]) -> float:
    """The mean; infinite or NaN, where `fmean` would raise, for readings that no float can sum."""
    found = list(values)
    return sum(found) / len(found)
