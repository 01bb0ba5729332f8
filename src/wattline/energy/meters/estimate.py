"""An estimate: CPU time of this process tree, times the power of one busy core."""

import resource
import time

from wattline.records import Energy


class Estimate:
    """CPU seconds of this process and of the children it waited for, times the power of one busy core.

    watts_per_core: power of one busy core [W]
    watts_source: where that figure comes from
    """

    # No statistics: the share by which the power of a busy core is assumed to miss its nominal value, as it depends
    # on instruction mix, clock frequency and how many neighbours are busy.
    WATTS_UNCERTAINTY = 0.3

    name = "estimate"
    minimum_seconds = 0.1

    def __init__(self, *, watts_per_core: float, watts_source: str) -> None:
        self._watts = watts_per_core
        self._source = watts_source
        self.start()

    def start(self) -> None:
        self._began = time.monotonic()
        self._cpu_seconds = _cpu_seconds()

    def stop(self) -> Energy:
        joules = (_cpu_seconds() - self._cpu_seconds) * self._watts
        return Energy(
            joules=joules,
            interval=(joules * (1 - self.WATTS_UNCERTAINTY), joules * (1 + self.WATTS_UNCERTAINTY)),
            provenance="estimated",
            sensor=f"CPU time x {self._watts:g} W/core ({self._source})",
            scope="processes",
            boundary="CPU cores of this process tree; no memory, no accelerator, no idle power",
            seconds=time.monotonic() - self._began,
        )


def _cpu_seconds() -> float:
    """User and system time of this process and of its children that ended and were waited for [s]."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
