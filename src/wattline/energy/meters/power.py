"""Energy from readings of power, for a GPU that has no counter of energy."""

import math
import time
from collections.abc import Callable

from wattline.energy.meters.meter import MeterError

# NVML reports the mean of the last second on Ampere and later, except on the A100 (NVML API, nvmlDeviceGetPowerUsage),
# so that the load of up to a second may be missing at the end, and that of others be in it at the beginning.
AVERAGED_SECONDS = 1.0
# Gain and offset of the sensor against an external meter (Yang, Adamek, Armour 2023, arXiv 2312.02741).
ACCURACY = 0.05
# There, A100 and H100 sample a quarter of each 100 ms; what happens in the rest is not seen.
UPDATE_SECONDS = 0.1
SAMPLE_SECONDS = 0.02
LONGEST_GAP_SECONDS = 2.0


class Integral:
    """Power of one GPU, integrated over time by the trapezoidal rule since `reset`.

    read: its power [W]; raises MeterError
    maximum_watts: more than this cannot be [W]
    """

    def __init__(self, name: str, read: Callable[[], float], *, maximum_watts: float) -> None:
        self._name = name
        self._read = read
        self._maximum = maximum_watts
        self.reset()

    def reset(self) -> None:
        """Integrate from here. Raises MeterError."""
        self._joules = self._seconds = self._squares = 0.0
        self._at, self._watts = time.monotonic(), self._sample()

    def advance(self) -> float:
        """Read power once more; energy since `reset` [J]. Raises MeterError when the last reading is too old."""
        watts, at = self._sample(), time.monotonic()
        gap = at - self._at
        if gap > LONGEST_GAP_SECONDS:
            raise MeterError(
                f"power of {self._name} was not read for {gap:.3g} s, so that its energy is unknown; the process was "
                "suspended or starved: repeat the measurement"
            )
        mean = (watts + self._watts) / 2
        self._joules += mean * gap
        self._squares += mean**2 * gap
        self._seconds += gap
        self._at, self._watts = at, watts
        return self._joules

    @property
    def blur(self) -> float:
        """Half the width of the 95 % interval, as a share of the energy.

        Accuracy of the sensor, its averaging at both ends, and that the updates are a sample of a changing power. Not
        covered: a load that changes in step with the updates.
        """
        if not self._seconds or not self._joules:
            return 1.0
        mean = self._joules / self._seconds
        spread = math.sqrt(max(0.0, self._squares / self._seconds - mean**2)) / mean
        updates = max(1.0, self._seconds / UPDATE_SECONDS)
        return min(1.0, ACCURACY + AVERAGED_SECONDS / self._seconds + 1.96 * spread / math.sqrt(updates))

    def _sample(self) -> float:
        watts = self._read()
        if not 0 < watts <= self._maximum:
            raise MeterError(
                f"{self._name} reports {watts:.4g} W, where more than 0 and at most {self._maximum:.4g} W can be; do "
                "not trust this sensor"
            )
        return watts
