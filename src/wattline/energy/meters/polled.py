"""A meter made of a sensor that says what power is now: it is asked again and again, and the answers are integrated."""

import time
from collections.abc import Callable, Mapping

from wattline.energy.meters.integration import INTERVALS_FOR_ONE_PERCENT, Integral, Sampler, integrate
from wattline.energy.meters.meter import MeterError
from wattline.records import Energy


class Polled:
    """Power of the whole machine, read every `interval_seconds`.

    read: gives the power now [W], or raises MeterError
    resolution_watts: smallest step of a reading [W]
    refresh_seconds: how old a reading may be [s]
    parameters: what a reader of the record needs to know besides
    """

    def __init__(
        self,
        read: Callable[[], float],
        *,
        name: str,
        sensor: str,
        boundary: str,
        interval_seconds: float,
        resolution_watts: float,
        refresh_seconds: float,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.minimum_seconds = INTERVALS_FOR_ONE_PERCENT * max(interval_seconds, refresh_seconds)
        self._read = read
        self._sensor = sensor
        self._boundary = boundary
        self._interval = interval_seconds
        self._resolution = resolution_watts
        self._refresh = refresh_seconds
        self._parameters = dict(parameters or {})
        self._sampler: Sampler | None = None
        self._began = 0.0

    def start(self) -> None:
        if self._sampler is not None:
            self._sampler.abandon()
            self._sampler = None
        self._sampler = Sampler(self._read, self._interval)
        self._began = time.monotonic()

    def stop(self) -> Energy:
        """Raises MeterError when a reading failed, readings stood still, or `start` was not called."""
        ended = time.monotonic()
        sampler, self._sampler = self._sampler, None
        if sampler is None:
            raise MeterError(f"the meter {self.name} was stopped without having been started; call start() first")
        samples = sampler.finish()
        integral = integrate(
            samples,
            start=self._began,
            stop=ended,
            interval_seconds=max(self._interval, sampler.slowest_seconds),
            resolution_watts=self._resolution,
            lag_seconds=self._refresh + sampler.slowest_seconds / 2,
        )
        return self._energy(integral, ended - self._began, len(samples))

    def _energy(self, integral: Integral, seconds: float, samples: int) -> Energy:
        interval = f"{samples} readings, one every {self._interval:g} s"
        return Energy(
            joules=integral.joules,
            interval=(integral.low, integral.high),
            provenance="measured",
            sensor=self._sensor,
            boundary=self._boundary,
            seconds=seconds,
            resolution_joules=self._resolution * self._interval,
            scope="machine",
            parameters={**self._parameters, "readings": interval},
        )
