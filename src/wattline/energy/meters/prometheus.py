"""Prometheus: any power series that a site scrapes, integrated over the window from its raw samples."""

import time
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple

from wattline.energy.meters.integration import INTERVALS_FOR_ONE_PERCENT, LARGEST_GAP, Sample, integrate, step
from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.remote import Remote
from wattline.errors import InputError
from wattline.params import PrometheusParams
from wattline.records import Energy
from wattline.settings import Settings
from wattline.trust import of_prometheus

SKEW_SECONDS = 5.0
"""By how much the clocks may differ. Less is taken off; more means that nobody looks after one of them, and a series
with time stamps of its own could then be shifted by that much without being seen."""
POLL_SECONDS = 1.0


class Clock(NamedTuple):
    """The server's clock as seen from here.

    ahead: of `time.monotonic` [s]
    skew: of our wall clock [s]
    doubt: half of the time that asking took [s]
    """

    ahead: float
    skew: float
    doubt: float


class Prometheus:
    """The series `params.query`, from the start of the window until one sample after its end.

    Raw samples (`query[window]`) are read, with the times at which they were scraped. `query_range` would repeat each
    for up to five minutes (its lookback) at times of our choosing, so that a series that ended would still look alive.
    Hence the query is a plain selector; what has to be computed is written as a recording rule.

    Raises MeterError where the server cannot be asked.
    """

    name = "prometheus"

    def __init__(self, params: PrometheusParams, settings: Settings) -> None:
        try:
            credentials = of_prometheus(settings)
        except InputError as error:
            raise MeterError(str(error)) from None
        self._params = params
        self._remote = Remote(
            params.url,
            field="energy.prometheus.url",
            credentials=credentials,
            authority=settings.energy_ca_file,
        )
        self.minimum_seconds = INTERVALS_FOR_ONE_PERCENT * params.interval_seconds
        self._began: float | None = None
        self._clock = self._checked_clock()
        self._fresh(time.monotonic())

    def start(self) -> None:
        """Raises MeterError where there is not exactly one such series, or where it is not sampled now."""
        self._clock = self._checked_clock()
        self._fresh(time.monotonic())
        self._began = time.monotonic()

    def stop(self) -> Energy:
        """Waits for the first sample after the end of the window: one interval, as a rule."""
        ended, began = time.monotonic(), self._began
        if began is None:
            raise MeterError("the meter prometheus was stopped without having been started; call start() first")
        self._began = None
        readings = self._until(began, ended)
        clock = self._unchanged_clock()
        samples = [Sample(seconds - clock.ahead, float(watts)) for seconds, watts in readings]
        resolution = step([watts for _, watts in readings])
        integral = integrate(
            samples,
            start=began,
            stop=ended,
            interval_seconds=self._params.interval_seconds,
            resolution_watts=resolution,
            lag_seconds=clock.doubt,
        )
        return Energy(
            joules=integral.joules,
            interval=(integral.low, integral.high),
            provenance="measured",
            sensor=f"prometheus:{self._params.query} at {self._remote.place}",
            boundary=self._params.boundary,
            seconds=ended - began,
            resolution_joules=resolution * self._params.interval_seconds,
            scope="machine",
            parameters={
                "readings": f"{len(samples)} samples, one every {self._params.interval_seconds:g} s",
                "clock of the server": f"{clock.skew:+.3f} s from ours, taken off",
            },
        )

    def _until(self, began: float, ended: float) -> list[tuple[float, Decimal]]:
        """Samples from before `began` until after `ended`. Raises MeterError where the series does not get there."""
        interval = self._params.interval_seconds
        deadline = ended + (LARGEST_GAP + 1) * interval
        while True:
            now = time.monotonic()
            samples = self._samples(now, now - began + (LARGEST_GAP + 1) * interval)
            last = samples[-1][0] - self._clock.ahead
            if last >= ended:
                return samples
            if now > deadline:
                raise MeterError(
                    f"{self._params.query} has no sample after the end of the activity, "
                    f"the last is {ended - last:.3g} s older; its target or the scraping of it stopped"
                )
            time.sleep(min(POLL_SECONDS, interval))

    def _fresh(self, now: float) -> None:
        window = (LARGEST_GAP + 1) * self._params.interval_seconds
        samples = self._samples(now, window)
        age = now - (samples[-1][0] - self._clock.ahead)
        if age > LARGEST_GAP * self._params.interval_seconds:
            raise MeterError(
                f"the last sample of {self._params.query} is {age:.3g} s old, one is due every "
                f"{self._params.interval_seconds:g} s; correct energy.prometheus.interval_seconds, or see to its target"
            )

    def _samples(self, now: float, seconds: float) -> list[tuple[float, Decimal]]:
        """Times on the server's clock [s] and values [W] of the one series, oldest first."""
        window = f"{ceil(seconds * 1000)}ms"
        found = self._asked(f"{self._params.query}[{window}]", "matrix", f"{now + self._clock.ahead:.3f}")
        query, place = self._params.query, self._remote.place
        if not found:
            raise MeterError(
                f"{place} has no sample of {query} in the last {seconds:.3g} s; correct energy.prometheus.query"
            )
        if isinstance(found, list) and len(found) > 1:
            labels = " and ".join(str(series.get("metric")) for series in found[:2] if isinstance(series, dict))
            raise MeterError(
                f"{query} is {len(found)} series, one is needed: {labels[:300]}; add labels to energy.prometheus.query"
            )
        try:
            samples = [_sample(*pair) for pair in found[0]["values"]]
        except (KeyError, TypeError, ValueError, ArithmeticError):
            samples = []
        if not samples:
            raise MeterError(f"{query} at {place} holds no numbers, perhaps a histogram; name a gauge of watts")
        return samples

    def _asked(self, query: str, kind: str, moment: str | None = None) -> Any:
        status, content = self._remote.get("/api/v1/query", query=query, **({"time": moment} if moment else {}))
        if not isinstance(content, dict) or content.get("status") != "success":
            said = content.get("error") if isinstance(content, dict) else None
            rule = "; energy.prometheus.query has to be a plain selector, computed series need a recording rule"
            raise MeterError(
                f"{self._remote.place} answers HTTP {status} to {query}: {str(said or 'no reason given')[:200]}"
                + (rule if "ranges only allowed" in str(said) or "parse error" in str(said) else "")
            )
        data = content.get("data")
        if not isinstance(data, dict) or data.get("resultType") != kind:
            raise MeterError(f"{self._remote.place} does not answer as Prometheus does; check energy.prometheus.url")
        return data.get("result")

    def _checked_clock(self) -> Clock:
        before, wall = time.monotonic(), time.time()
        result = self._asked("time()", "scalar")
        doubt = (time.monotonic() - before) / 2
        try:
            server = float(result[1])
        except (TypeError, ValueError, LookupError, OverflowError):
            raise MeterError(f"{self._remote.place} does not tell the time; check energy.prometheus.url") from None
        clock = Clock(ahead=server - before - doubt, skew=server - wall - doubt, doubt=doubt)
        if abs(clock.skew) > SKEW_SECONDS + doubt:
            raise MeterError(
                f"the clock of {self._remote.place} is {clock.skew:+.1f} s from ours, {SKEW_SECONDS:g} s are allowed; "
                "synchronise both with NTP"
            )
        return clock

    def _unchanged_clock(self) -> Clock:
        clock = self._checked_clock()
        jump = clock.ahead - self._clock.ahead
        if abs(jump) > SKEW_SECONDS / 5 + clock.doubt + self._clock.doubt:
            raise MeterError(
                f"the clock of {self._remote.place} jumped by {jump:+.2f} s during the activity; synchronise it and "
                "measure again"
            )
        return clock


def _sample(seconds: Any, watts: Any) -> tuple[float, Decimal]:
    """A time and a value as Prometheus writes them. Raises ValueError or ArithmeticError for anything else."""
    if not isinstance(watts, str) or Decimal(watts).is_snan():
        raise ValueError(f"{watts!r} is no value of a sample")
    return float(seconds), Decimal(watts)
