"""Whether the readings of a session can come from a working meter that measures what it says."""

import math
from collections.abc import Iterator
from itertools import groupby
from statistics import median

import numpy as np

from wattline.energy.paired.observations import idle_watts, net_joules, samples
from wattline.records import EnergyTest, Sample

# No sample lasts 30,000 years, and none costs as much as a power station makes in a month.
IMPOSSIBLE = 1e12
# Energy of equal work: beyond this factor of its median a counter wrapped, or something else was read.
IMPLAUSIBLE_JOULES = 3.0
# Time is less steady than energy on a shared machine; a clock that stepped or a suspended process is beyond this.
IMPLAUSIBLE_SECONDS = 10.0
# Readings in a row that are the same, as a share of all: a counter with coarse steps repeats itself now and then.
STUCK_SHARE = 1 / 3
# Real power is never so steady: a counter that is refreshed each millisecond is this blurred in a sample of 2 s.
SAME_POWER = 5e-4
# The standard deviation of rounding is 0.29 of a step; less than that is left of a computed figure.
ROUNDING = 0.3


def unusable(test: EnergyTest) -> str | None:
    """The first reason why the readings cannot be used, with the remedy; None where there is none.

    test: idle power is known, and there is a block at least
    """
    return _impossible(test) or _implausible(test) or _too_short(test) or _stuck(test) or _computed(test)


def _impossible(test: EnergyTest) -> str | None:
    idle = idle_watts(test)
    for number, sample in enumerate(samples(test), start=1):
        net = net_joules(sample, idle)
        if _counted(sample) and net > 0:
            continue
        reading = f"sample {number} ({sample.contender}) reads {sample.joules:.4g} J in {sample.seconds:.4g} s"
        if _counted(sample):
            return (
                f"{reading}, {net:.4g} J without idle power of {idle:.4g} W; raise measure.session.sample_seconds, "
                "or use a meter that sees less of what idles"
            )
        return (
            f"{reading} ({sample.cpu_seconds:.4g} s of CPU time), within {sample.low:.4g} and {sample.high:.4g} J; "
            "the meter or the clock did not count: see `wattline energy doctor`"
        )
    return None


def _counted(sample: Sample) -> bool:
    within = sample.low <= sample.joules <= sample.high
    return (
        within
        and 0 < sample.joules < IMPOSSIBLE
        and 0 < sample.seconds < IMPOSSIBLE
        and 0 <= sample.cpu_seconds < IMPOSSIBLE
        and math.isfinite(sample.low)
        and math.isfinite(sample.high)
    )


def _implausible(test: EnergyTest) -> str | None:
    idle = idle_watts(test)
    for name, readings in _by_contender(test):
        joules = median(net_joules(sample, idle) for sample in readings)
        seconds = median(sample.seconds for sample in readings)
        for sample in readings:
            net = net_joules(sample, idle)
            if not joules / IMPLAUSIBLE_JOULES <= net <= joules * IMPLAUSIBLE_JOULES:
                return (
                    f"a sample of the {name} cost {net:.4g} J, and half of them less than {joules:.4g} J for the same "
                    "work; the counter wrapped or something else ran: see `wattline energy doctor`, and run it again"
                )
            if not seconds / IMPLAUSIBLE_SECONDS <= sample.seconds <= seconds * IMPLAUSIBLE_SECONDS:
                return (
                    f"a sample of the {name} took {sample.seconds:.4g} s, and half of them less than {seconds:.4g} s "
                    "for the same work; the clock stepped or the process was suspended: run it again"
                )
    return None


def _too_short(test: EnergyTest) -> str | None:
    """Median, because one fast sample is no sign of a work too small."""
    for name, readings in _by_contender(test):
        seconds = median(sample.seconds for sample in readings)
        if seconds < test.sensor.minimum_seconds:
            return (
                f"samples of the {name} take {seconds:.4g} s and meter {test.sensor.meter!r} needs "
                f"{test.sensor.minimum_seconds:.4g} s; raise measure.session.sample_seconds"
            )
    return None


def _stuck(test: EnergyTest) -> str | None:
    for name, readings in _by_contender(test):
        different = {sample.joules for sample in readings}
        if len(different) == 1:
            return (
                f"all {len(readings)} samples of the {name} read {different.pop():.4g} J; the sensor is stuck or "
                "too coarse: see `wattline energy doctor`, or raise measure.session.sample_seconds"
            )
    runs = [len(list(same)) for _, same in groupby(sample.joules for sample in samples(test))]
    if max(runs) >= STUCK_SHARE * sum(runs):
        return (
            f"{max(runs)} of {sum(runs)} samples in a row read the same; the sensor stuck on the way or is too coarse: "
            "see `wattline energy doctor`, or raise measure.session.sample_seconds"
        )
    return None


def _computed(test: EnergyTest) -> str | None:
    """A figure computed from time is no measurement, whatever it is called.

    Joules are fitted by watts * seconds + watts_per_core * cpu_seconds, which every estimate from time is. What is
    left of a counter's readings is the noise of power; of a computed figure, nothing but its rounding.
    """
    if test.sensor.provenance != "measured":
        return None
    readings = list(samples(test))
    joules = np.array([sample.joules for sample in readings])
    times = np.array([(sample.cpu_seconds, sample.seconds) for sample in readings]) / joules[:, None]
    factors = np.linalg.lstsq(times, np.ones(len(joules)), rcond=None)[0]
    rest = float(np.sqrt(np.mean((times @ factors - 1) ** 2)))
    if not _nothing_left(rest, step=test.sensor.resolution_joules, mean=float(joules.mean())):
        return None
    return (
        f"{test.sensor.sensor} calls itself measured, and its joules follow CPU and wall time to {rest:.2%}: it is an "
        "estimate, or power that does not move; use a meter that counts energy, or call it estimated"
    )


def _nothing_left(rest: float, *, step: float | None, mean: float) -> bool:
    """Whether what is left of readings, as a share of their mean, is too little for a counter with such steps [J]."""
    return rest <= SAME_POWER or (step is not None and rest <= ROUNDING * step / mean)


def _by_contender(test: EnergyTest) -> Iterator[tuple[str, list[Sample]]]:
    for contender in test.contenders:
        readings = list(samples(test, contender.name))
        if readings:
            yield contender.name, readings
