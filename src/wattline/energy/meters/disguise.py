"""Whether readings that are called measured follow from time and CPU time alone: then they were computed from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattline.records.energy import Scope

# An estimate misses the fit by nothing but the moments at which clocks are read. Silicon misses it by more: its power
# changes with temperature and clock frequency, and two kinds of work in the same CPU time differ by far more.
SHARE_OF_READING = 0.01
SHARE_OF_EFFECT = 0.02
# Hardware draws power without doing anything; a meter that reads next to nothing then has no sensor.
SHARE_OF_EFFECT_WITHOUT_IDLE = 0.05


class Reading(NamedTuple):
    """One short reading of a meter.

    joules: what it read [J]
    seconds: how long it took, as the meter says; checked against our clock [s]
    cpu_seconds: CPU time of our process tree [s]
    skew_seconds: how far apart the meter and we may have read the clocks [s]
    loaded: whether a known load was running
    """

    joules: float
    seconds: float
    cpu_seconds: float
    skew_seconds: float
    loaded: bool

    @property
    def watts(self) -> float:
        return self.joules / self.seconds


def formula(readings: Sequence[Reading], scope: Scope | None) -> str | None:
    """The formula in time and CPU time that gives these readings, or None where neither does.

    Found are a constant power (the rating of a device), CPU time x a constant, and the sum of both. Not found is one
    that uses the utilisation of the whole machine. CPU time is left out for accelerators, whose power it cannot give.
    """
    seconds = np.array([reading.seconds for reading in readings])
    joules = np.array([reading.joules for reading in readings])
    watts = _fit(seconds[:, None], joules)
    if watts and np.all(np.abs(joules - seconds * watts[0]) <= SHARE_OF_READING * np.abs(joules)):
        return f"time x {watts[0]:.4g} W"
    if scope == "devices":
        return None
    cpu = np.array([reading.cpu_seconds for reading in readings])
    skew = np.array([reading.skew_seconds for reading in readings])
    effect = _watts(readings, loaded=True) - _watts(readings, loaded=False)
    for name, columns, share in (
        ("CPU time x {1:.4g} W", np.stack([0 * seconds, cpu], axis=1), SHARE_OF_EFFECT_WITHOUT_IDLE),
        ("time x {0:.4g} W + CPU time x {1:.4g} W", np.stack([seconds, cpu], axis=1), SHARE_OF_EFFECT),
    ):
        power = _fit(columns, joules)
        missed = np.abs(joules - columns @ power)
        if np.all(missed <= share * effect * seconds + np.abs(power).max() * skew):
            return name.format(*power)
    return None


def _fit(columns: NDArray[np.float64], joules: NDArray[np.float64]) -> list[float]:
    """Least squares."""
    return [float(power) for power in np.linalg.lstsq(columns, joules, rcond=None)[0]]


def _watts(readings: Sequence[Reading], *, loaded: bool) -> float:
    return float(np.mean([reading.watts for reading in readings if reading.loaded is loaded]))
