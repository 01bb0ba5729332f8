"""Energy from a series of power readings: the area under it, and how far that can be off."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from wattline.energy.meters.meter import MeterError

LARGEST_GAP = 3
"""Intervals without a reading, or without one to either side, that are bridged. One reading may be lost, or two."""
FEWEST_SAMPLES = 3
STUCK_SAMPLES = 100
"""Equal readings in a row, to the bit, after which a sensor counts as stuck: power of a computer is never that steady.
As many as the shortest window that is good to 1 % holds, so that no such window passes on one repeated value."""
INTERVALS_FOR_ONE_PERCENT = 100
"""Power that jumps at both ends of a window is missed for at most half an interval at each: together 1 % of this."""


class Sample(NamedTuple):
    """Power at one moment.

    seconds: on the clock that the window is given in [s]
    watts: [W]
    """

    seconds: float
    watts: float


class Integral(NamedTuple):
    """Energy of a window, and the bounds that its samples leave [J]."""

    joules: float
    low: float
    high: float


def integrate(
    samples: Sequence[Sample],
    *,
    start: float,
    stop: float,
    interval_seconds: float,
    resolution_watts: float = 0.0,
    lag_seconds: float = 0.0,
) -> Integral:
    """Energy between `start` and `stop` by the trapezoidal rule.

    Between two samples power may have been either: the bounds are the sums with the lower and with the higher of both.
    At an end without a sample beyond it the next one is held, and the bounds take the least and the most of the window.

    start, stop: on the clock of the samples [s]
    interval_seconds: how often there should be a sample [s]
    resolution_watts: smallest step of a reading [W]
    lag_seconds: how old a reading may be when it is given out [s]

    Raises MeterError for samples that do not describe the window: see `check`.
    """
    samples = _around(samples, start, stop)
    check(samples, start=start, stop=stop, interval_seconds=interval_seconds)
    least, most = min(watts for _, watts in samples), max(watts for _, watts in samples)
    joules = low = high = 0.0
    for before, after in pairwise(samples):
        left, right = max(before.seconds, start), min(after.seconds, stop)
        seconds = right - left
        joules += seconds * (_between(before, after, left) + _between(before, after, right)) / 2
        low += seconds * min(before.watts, after.watts)
        high += seconds * max(before.watts, after.watts)
    for seconds, watts in (
        (max(0.0, samples[0].seconds - start), samples[0].watts),
        (max(0.0, stop - samples[-1].seconds), samples[-1].watts),
    ):
        joules, low, high = joules + seconds * watts, low + seconds * least, high + seconds * most
    blur = lag_seconds * (most - least) + (stop - start) * resolution_watts / 2
    return Integral(joules, max(0.0, low - blur), high + blur)


def check(samples: Sequence[Sample], *, start: float, stop: float, interval_seconds: float) -> None:
    """Raises MeterError unless the samples describe the whole window: enough, in order, without gaps, alive."""
    if stop <= start:
        raise MeterError(f"the window ends {start - stop:g} s before it starts; read the meter after the activity")
    for sample in samples:
        if not math.isfinite(sample.watts) or sample.watts < 0:
            raise MeterError(f"a reading of power is {sample.watts:g} W; no machine draws that, check the sensor")
    if len(samples) < FEWEST_SAMPLES:
        raise MeterError(
            f"{len(samples)} readings of power in {stop - start:.3g} s, {FEWEST_SAMPLES} are needed; "
            f"let the activity last longer than {FEWEST_SAMPLES * interval_seconds:g} s, or read power more often"
        )
    if not any(sample.watts for sample in samples):
        raise MeterError("all readings of power are 0 W; the sensor is there and does not measure")
    _check_times(samples, start, stop, interval_seconds)
    _check_alive(samples)


def _check_times(samples: Sequence[Sample], start: float, stop: float, interval_seconds: float) -> None:
    moments = [sample.seconds for sample in samples]
    if not all(map(math.isfinite, moments)) or any(later <= earlier for earlier, later in pairwise(moments)):
        raise MeterError("readings of power are not in the order of their times; check the clocks")
    edges = [min(start, moments[0]), *moments, max(stop, moments[-1])]
    gap = max(later - earlier for earlier, later in pairwise(edges))
    if gap > LARGEST_GAP * interval_seconds:
        raise MeterError(
            f"no reading of power for {gap:.3g} s where one is due every {interval_seconds:g} s; "
            "the sensor, the network or this process stood still: measure again"
        )


def _check_alive(samples: Sequence[Sample]) -> None:
    equal = 1
    for before, after in pairwise(samples):
        equal = equal + 1 if after.watts == before.watts else 1
        if equal >= STUCK_SAMPLES:
            raise MeterError(
                f"{equal} readings of power in a row are {after.watts!r} W to the bit; the sensor is stuck, restart it"
            )


def step(numbers: Sequence[Decimal]) -> float:
    """Smallest step that the digits of some numbers show: 1 for 118 and 120, 0.01 for 118.25 and 120."""
    exponents = [number.as_tuple().exponent for number in numbers]
    return 10.0 ** min(0, *(exponent for exponent in exponents if isinstance(exponent, int)), 0)


def _around(samples: Sequence[Sample], start: float, stop: float) -> Sequence[Sample]:
    """The samples of the window, and the nearest one to each side of it."""
    first = max((i for i, sample in enumerate(samples) if sample.seconds <= start), default=0)
    last = min((i for i, sample in enumerate(samples) if sample.seconds >= stop), default=len(samples))
    return samples[first : last + 1]


def _between(before: Sample, after: Sample, seconds: float) -> float:
    """Power on the straight line through two samples [W]."""
    share = (seconds - before.seconds) / (after.seconds - before.seconds)
    return before.watts + share * (after.watts - before.watts)


class Sampler:
    """Reads power on a thread of its own, first at once, then every `interval_seconds`, until it is told to finish.

    read: gives the power now [W]; it has to come back by itself
    """

    def __init__(self, read: Callable[[], float], interval_seconds: float) -> None:
        self._read = read
        self._interval = interval_seconds
        self._samples: list[Sample] = []
        self._failure: Exception | None = None
        self._done = threading.Event()
        self.slowest_seconds = 0.0
        self._sample()
        self._thread = threading.Thread(target=self._run, name="power-sampler", daemon=True)
        self._thread.start()

    def finish(self) -> list[Sample]:
        """Read once more, and return all samples on the clock `time.monotonic`. Raises what a reading raised."""
        self.abandon()
        if self._failure is not None:
            raise self._failure
        self._sample()
        return self._samples

    def abandon(self) -> None:
        """Stop reading."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while not self._done.wait(max(0.0, due - time.monotonic())):
            try:
                self._sample()
            except Exception as error:  # raised in `finish`, where somebody hears it
                self._failure = error
                return
            due = max(due + self._interval, time.monotonic())

    def _sample(self) -> None:
        """One reading, at the middle of the time that it took."""
        before = time.monotonic()
        watts = self._read()
        after = time.monotonic()
        self.slowest_seconds = max(self.slowest_seconds, after - before)
        self._samples.append(Sample((before + after) / 2, watts))
