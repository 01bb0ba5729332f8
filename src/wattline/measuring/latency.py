"""Latency and throughput: contenders answer windows in turns, in this process, on one thread."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wattline.params import MeasureParams
from wattline.records import Energy, Performance
from wattline.serving.inference.engine import Engine
from wattline.task import FloatArray, Split

WARM_UP_CALLS = 20


@dataclass
class Turns:
    """What one contender showed in its turns.

    latency_ms: one figure for each single window [ms]
    throughput_per_second: one figure for each turn
    """

    latency_ms: list[float] = field(default_factory=list)
    throughput_per_second: list[float] = field(default_factory=list)


def sample(
    engine: Engine, test: Split, columns: Sequence[str], measure: MeasureParams
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Raw windows spread over units and time, and the units' indices, as `engine` wants them."""
    wanted = engine.places(columns)
    share = -(-measure.windows // len(test))
    windows, units = [], []
    for unit, series in test.items():
        view = series.windows(engine.signature.steps)
        rows = np.linspace(0, len(view) - 1, share, dtype=np.int64)
        windows.append(view[rows][:, :, wanted])
        units.append(np.full(share, engine.signature.index(unit), dtype=np.int64))
    return np.concatenate(windows)[: measure.windows], np.concatenate(units)[: measure.windows]


def take_turns(
    engines: Mapping[str, Engine],
    work: Mapping[str, tuple[FloatArray, NDArray[np.int64]]],
    measure: MeasureParams,
) -> dict[str, Turns]:
    """Interleave the contenders, in alternating order, so that a change of the machine's state hits both."""
    turns = {name: Turns() for name in engines}
    for name, engine in engines.items():
        _single(engine, work[name], calls=WARM_UP_CALLS)
    for repeat in range(measure.repeats):
        for name in list(engines)[:: 1 if repeat % 2 == 0 else -1]:
            turns[name].latency_ms += _single(engines[name], work[name], calls=len(work[name][0]))
            turns[name].throughput_per_second.append(_throughput(engines[name], work[name], measure))
    return turns


def _single(engine: Engine, work: tuple[FloatArray, NDArray[np.int64]], *, calls: int) -> list[float]:
    windows, units = work
    latencies = []
    for call in range(calls):
        window, unit = windows[call : call + 1], units[call : call + 1]
        begin = time.perf_counter()
        engine.run(window, unit)
        latencies.append((time.perf_counter() - begin) * 1e3)
    return latencies


def _throughput(engine: Engine, work: tuple[FloatArray, NDArray[np.int64]], measure: MeasureParams) -> float:
    """Windows per second in batches: all of them, over and over for as long as a sample of the energy test takes."""
    windows, units = work
    begin, answered = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < measure.session.sample_seconds or not answered:
        for at in range(0, len(units), measure.batch):
            engine.run(windows[at : at + measure.batch], units[at : at + measure.batch])
        answered += len(units)
    return answered / elapsed


def performance(digest: str, turns: Turns, *, batch: int, energy_per_1000: Energy, idle_share: float) -> Performance:
    """What a contender showed in its turns, with what a session of the meter says of its energy."""
    p50, p99 = np.quantile(turns.latency_ms, [0.5, 0.99])
    return Performance(
        digest=digest,
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        throughput_per_second=median(turns.throughput_per_second),
        batch=batch,
        energy_per_1000=energy_per_1000,
        idle_share=idle_share,
    )
