"""An estimate: CPU time of this process tree, times the power of one busy core."""

import time

from wattline.energy.meters import cpu_time
from wattline.energy.meters.meter import MeterError
from wattline.records import Energy


class Estimate:
    """CPU seconds of this process and its descendants, times the power of one busy core and its share of idle power.

    watts_per_core: power of one busy core [W]
    watts_source: where that figure comes from
    idle_share: idle power of the machine that is charged on top, as a share of `watts_per_core`
    idle_source: where that figure comes from
    root: process whose tree is read instead of that of this process

    What is lost of the CPU time is said at `cpu_time.tree`.
    """

    # No statistics: the share by which the power of a busy core is assumed to miss its nominal value, as it depends
    # on instruction mix, clock frequency and how many neighbours are busy.
    WATTS_UNCERTAINTY = 0.3

    name = "estimate"
    minimum_seconds = 0.1

    def __init__(
        self,
        *,
        watts_per_core: float,
        watts_source: str,
        idle_share: float,
        idle_source: str,
        root: int | None = None,
    ) -> None:
        self._root = root
        self._watts = watts_per_core * (1 + idle_share)
        idle = f" x {1 + idle_share:g}" if idle_share else ""
        self._sensor = f"CPU time x {watts_per_core:g} W/core{idle} ({watts_source})"
        self._boundary = "CPU cores of this process tree; no memory, no accelerator, " + (
            f"idle power as {idle_share:g} of a busy core's ({idle_source})" if idle_share else "no idle power"
        )
        self._parameters = {
            "watts_per_core": f"{watts_per_core:g} W",
            "watts_source": watts_source,
            "idle_share": f"{idle_share:g} of watts_per_core",
            "idle_source": idle_source,
            "watts_uncertainty": f"+/- {self.WATTS_UNCERTAINTY:.0%}, assumed",
        }
        self._start: cpu_time.CpuTime | None = None
        self._known: frozenset[cpu_time.Process] = frozenset()
        self._began = 0.0

    def start(self) -> None:
        self._began = time.monotonic()
        self._start = self._read(self._known)

    def stop(self) -> Energy:
        """Raises MeterError when CPU time was lost, the process that is read has ended, or `start` was not called."""
        if self._start is None:
            raise MeterError("the estimate was stopped without having been started; call start() first")
        start, self._start = self._start, None
        end = self._read(start.processes)
        resolution = max(start.resolution, end.resolution)
        # One that was init's already when this began, and ended: no parent was left to be told what it used.
        ended = sum(used for process, used in start.orphans.items() if process not in end.processes)
        gained, self._known = end.seconds - (start.seconds - ended), end.processes
        if gained < -resolution:
            raise MeterError(
                f"CPU time of this process tree went back by {-gained:.3g} s: a process ended whose parent had ended "
                "before, and took its CPU time with it; let parents wait for their children"
            )
        joules = max(0.0, gained) * self._watts
        return Energy(
            joules=joules,
            interval=(joules * (1 - self.WATTS_UNCERTAINTY), joules * (1 + self.WATTS_UNCERTAINTY)),
            provenance="estimated",
            sensor=self._sensor,
            scope="processes",
            boundary=self._boundary,
            seconds=time.monotonic() - self._began,
            resolution_joules=resolution * self._watts,
            parameters=self._parameters,
        )

    def _read(self, known: frozenset[cpu_time.Process]) -> cpu_time.CpuTime:
        if self._root is None:
            return cpu_time.tree(known)
        try:
            return cpu_time.tree_of(self._root, known)
        except ProcessLookupError:
            raise MeterError(
                f"process {self._root}, whose CPU time is to be read, does not run any more; no figure holds all of it"
            ) from None
