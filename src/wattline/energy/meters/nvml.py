"""NVML: the energy counter of each NVIDIA GPU, or its power integrated over time where it has none."""

import itertools
import statistics
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pynvml

from wattline.energy.meters import cuda
from wattline.energy.meters.counter import IMPLAUSIBLE_WATTS, Counter, Source, Watch
from wattline.energy.meters.gpus import Gpu, explained, visible
from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.power import AVERAGED_SECONDS, SAMPLE_SECONDS, Integral
from wattline.records import Energy

T = TypeVar("T")

OVER_LIMIT = 3  # A GPU may draw more than its power limit, for less than a millisecond; never three times as much.
STUCK_SECONDS = 1.0
WATCH_SECONDS = 1.0
POLL_SECONDS = 0.001
TICKS = 8  # that are watched to find out how often a counter is refreshed


class Nvml:
    """Energy of the GPUs that CUDA shows this process.

    A counter is refreshed every 20 to 100 ms; how often is found out when the meter is made. It is read just after a
    refresh at both ends, so that a reading is delayed by up to one refresh and covers that time, too. What remains
    unknown is by how much the counter lags behind: one refresh at most.

    devices, order: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER; None where they are not set
    synchronise: waits for the work on the GPUs that was queued before it is called
    integrate: integrate power although there is a counter

    Raises MeterError where there is no GPU, one is in MIG mode, or a counter does not move.
    """

    name = "nvml"

    def __init__(
        self,
        *,
        devices: str | None = None,
        order: str | None = None,
        synchronise: Callable[[], None] = cuda.synchronise,
        integrate: bool = False,
    ) -> None:
        with explained("there are no GPUs that can be metered"):
            pynvml.nvmlInit()  # stays open: without a user of it, the driver may forget the count
        self._gpus = visible(devices, order)
        self._synchronise = synchronise
        counting = [gpu for gpu in self._gpus if gpu.counts and not integrate]
        self.refresh_seconds, sources = refreshed([_source(gpu) for gpu in counting])
        self._counters = [Counter(source) for source in sources]
        self._integrals = [_integral(gpu) for gpu in self._gpus if gpu not in counting]
        self.minimum_seconds = max(1.0, 100 * self.refresh_seconds, 100 * AVERAGED_SECONDS * bool(self._integrals))
        self._watch: Watch | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        """Raises MeterError when a GPU cannot be read, or work on it failed."""
        self._finish()
        self._synchronise()
        at_refresh(self._counters, Counter.reset)
        for integral in self._integrals:
            integral.reset()
        self._began = time.monotonic()
        self._watch = Watch(self._advance, SAMPLE_SECONDS if self._integrals else WATCH_SECONDS)

    def stop(self) -> Energy:
        """Raises MeterError when a GPU was lost or counted nonsense, work on it failed, or `start` was not called."""
        watch = self._watch
        if watch is None:
            raise MeterError("the NVML meter was stopped without having been started; call start() first")
        try:
            self._synchronise()
        finally:
            self._finish()
        watch.check()
        counted = sum(at_refresh(self._counters, Counter.advance))
        integrated = [integral.advance() for integral in self._integrals]
        seconds = time.monotonic() - self._began
        blur = counted * min(1.0, self.refresh_seconds / seconds) + sum(
            joules * integral.blur for joules, integral in zip(integrated, self._integrals, strict=True)
        )
        joules = counted + sum(integrated)
        return Energy(
            joules=joules,
            interval=(joules - blur, joules + blur),
            provenance="measured",
            sensor="nvml:" + self._sensor(),
            scope="devices",
            boundary=f"{self._models()}, whole boards: every process on them, idle power included; no CPU",
            seconds=seconds,
            resolution_joules=max(0.001, joules / seconds * max(self.refresh_seconds, SAMPLE_SECONDS)),
            parameters=self._parameters(),
        )

    def _advance(self) -> None:
        for counter in self._counters:
            counter.advance()
        for integral in self._integrals:
            integral.advance()

    def _finish(self) -> None:
        if self._watch is not None:
            self._watch.finish()
            self._watch = None

    def _sensor(self) -> str:
        parts = []
        if self._counters:
            parts.append(f"energy counter of {len(self._counters)} GPU")
        if self._integrals:
            parts.append(f"power of {len(self._integrals)} GPU integrated every {SAMPLE_SECONDS * 1e3:g} ms")
        return " + ".join(parts)

    def _models(self) -> str:
        return ", ".join(f"{count} x {model}" for model, count in Tally(gpu.model for gpu in self._gpus).items())

    def _parameters(self) -> dict[str, str]:
        found = {"gpus": ", ".join(gpu.uuid for gpu in self._gpus)}
        if self._counters:
            found["counter_refresh"] = f"{self.refresh_seconds:.3g} s, observed here"
            found["accuracy"] = "of the sensor, not in the interval; its power was found within 5 % (arXiv 2312.02741)"
        return found


def refreshed(sources: Sequence[Source]) -> tuple[float, list[Source]]:
    """Watch how often counters move: the slowest one's refresh [s], and all with it. Raises MeterError."""
    if not sources:
        return 0.0, []
    seconds = max(map(_refresh, sources))
    return seconds, [replace(source, refresh_seconds=seconds) for source in sources]


def _refresh(source: Source) -> float:
    moments: list[float] = []
    last = source.read()
    deadline = time.monotonic() + STUCK_SECONDS
    while len(moments) < TICKS and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        if (now := source.read()) != last:
            moments.append(time.monotonic())
            last = now
    if len(moments) < 2:
        raise MeterError(f"the counter of {source.name} stood still for {STUCK_SECONDS:g} s; see nvidia-smi")
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(moments))


def at_refresh(counters: Sequence[Counter], read: Callable[[Counter], T]) -> list[T]:
    """Read each counter just after its next refresh. Raises MeterError when one does not move."""
    before = [counter.source.read() for counter in counters]
    answers: dict[int, T] = {}
    deadline = time.monotonic() + STUCK_SECONDS
    while len(answers) < len(counters):
        for place, counter in enumerate(counters):
            if place not in answers and counter.source.read() != before[place]:
                answers[place] = read(counter)
        if len(answers) < len(counters) and time.monotonic() > deadline:
            stuck = next(counter for place, counter in enumerate(counters) if place not in answers)
            raise MeterError(
                f"the counter of {stuck.source.name} stood still for {STUCK_SECONDS:g} s; its driver or the hardware "
                "stopped counting: see nvidia-smi"
            )
        time.sleep(POLL_SECONDS)
    return [answers[place] for place in range(len(counters))]


def _source(gpu: Gpu) -> Source:
    def read() -> float:
        with explained(f"the energy counter of {gpu.name} cannot be read"):
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle)) / 1e3

    bound, because = _maximum(gpu)
    return Source(
        name=gpu.name,
        read=read,
        range_joules=None,  # 64 bits of mJ do not wrap; one that goes back was reset
        refresh_seconds=0.1,
        stale_seconds=STUCK_SECONDS,
        maximum_watts=bound,
        maximum_source=because,
    )


def _integral(gpu: Gpu) -> Integral:
    def read() -> float:
        with explained(f"power of {gpu.name} cannot be read"):
            return float(pynvml.nvmlDeviceGetPowerUsage(gpu.handle)) / 1e3

    return Integral(gpu.name, read, maximum_watts=_maximum(gpu)[0])


def _maximum(gpu: Gpu) -> tuple[float, str]:
    if gpu.maximum_watts is None:
        return IMPLAUSIBLE_WATTS, "more than any GPU draws"
    return OVER_LIMIT * gpu.maximum_watts, f"{OVER_LIMIT} times its highest power limit"
