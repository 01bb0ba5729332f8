"""A counter of energy in hardware, read so that what it cannot have counted is an error and never a figure."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from wattline.energy.meters.meter import MeterError

IMPLAUSIBLE_WATTS = 2000.0
"""More than any CPU package, memory or accelerator draws; holds where the hardware does not state its maximum [W]."""


@dataclass(frozen=True)
class Source:
    """One counter of the hardware.

    name: what it counts, for messages
    read: its value [J]; raises MeterError
    range_joules: after how much it begins again at zero [J]; None for one that never does
    refresh_seconds: how old a reading may be [s]
    stale_seconds: a counter that did not move for so long is stuck [s]
    maximum_watts: more than this cannot be [W]
    maximum_source: where that bound comes from
    """

    name: str
    read: Callable[[], float]
    range_joules: float | None
    refresh_seconds: float
    stale_seconds: float
    maximum_watts: float = IMPLAUSIBLE_WATTS
    maximum_source: str = "more than any package or accelerator draws"

    @property
    def longest_gap(self) -> float:
        """Readings further apart may hide a wrap [s]."""
        return float("inf") if self.range_joules is None else self.range_joules / self.maximum_watts


class Counter:
    """What one source counted since `reset`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reset()

    def reset(self) -> None:
        """Count from here. Raises MeterError."""
        self._total = 0.0
        self._last = self.source.read()
        self._read_at = self._moved_at = time.monotonic()

    def advance(self) -> float:
        """Read the counter, and return what it counted since `reset` [J]. Raises MeterError naming what is wrong."""
        now, at = self.source.read(), time.monotonic()
        gained = self._gained(now, at - self._read_at)
        if gained > 0:
            self._moved_at = at
        elif at - self._moved_at >= self.source.stale_seconds:
            raise MeterError(
                f"the counter of {self.source.name} stood still for {at - self._moved_at:.3g} s; its driver or the "
                "hardware stopped counting: reload the driver, or set energy.meter to another one"
            )
        self._total += gained
        self._last, self._read_at = now, at
        return self._total

    def _gained(self, now: float, seconds: float) -> float:
        """What was counted between two readings [J]: the plain difference, or the one plausible wrap."""
        source = self.source
        if seconds >= source.longest_gap:
            raise MeterError(
                f"the counter of {source.name} was not read for {seconds:.3g} s, in which it may have wrapped more "
                f"than once ({source.range_joules:.4g} J at {source.maximum_watts:.4g} W); the process was suspended: "
                "repeat the measurement"
            )
        if source.range_joules is not None and now > source.range_joules:
            raise MeterError(
                f"the counter of {source.name} is at {now:.6g} J and is said to wrap at {source.range_joules:.6g} J; "
                "do not trust this sensor"
            )
        gained = now - self._last
        # Both readings may be one refresh old, in either direction.
        most = source.maximum_watts * (seconds + 2 * source.refresh_seconds)
        if gained < 0 and source.range_joules is not None and gained + source.range_joules <= most:
            return gained + source.range_joules
        if gained < 0:
            raise MeterError(
                f"the counter of {source.name} went backwards from {self._last:.6g} J to {now:.6g} J and that was no "
                "wrap; its driver was reloaded, or it is broken: repeat the measurement"
            )
        if gained > most:
            raise MeterError(
                f"the counter of {source.name} gained {gained:.4g} J in {seconds:.3g} s; over "
                f"{source.maximum_watts:.4g} W cannot be ({source.maximum_source}): repeat the measurement, and do not "
                "trust this sensor if it recurs"
            )
        return gained


class Watch:
    """Calls something now and then on a thread of its own, until it is told to finish. The first error ends it."""

    def __init__(self, look: Callable[[], object], seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._error: MeterError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energy-meter", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Let the thread end; what went wrong there is left for `check`."""
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Raise the MeterError that ended it, if one did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._done.wait(self._seconds):
            try:
                self._look()
            except MeterError as error:
                self._error = error
                return
