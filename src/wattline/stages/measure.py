"""measure: latency, throughput and energy of candidate and champion, taking turns on one machine."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wattline import charts, files, splits
from wattline.energy import meters
from wattline.energy.emissions import of_model
from wattline.params import EmissionsParams, EnergyParams, MeasureParams
from wattline.records import Energy, Measurement, Performance, TrainingEnergy
from wattline.serving.inference.engine import Engine
from wattline.stages.evaluate import read_champion
from wattline.task import FloatArray, Split

WARM_UP_CALLS = 20


@dataclass
class Turns:
    """What one contender showed in its turns.

    latency_ms: one figure for each single window [ms]
    throughput_per_second, energy_per_1000: one figure for each turn
    """

    latency_ms: list[float] = field(default_factory=list)
    throughput_per_second: list[float] = field(default_factory=list)
    energy_per_1000: list[Energy] = field(default_factory=list)


def run(*, measure: MeasureParams, energy: EnergyParams, emissions: EmissionsParams | None = None) -> None:
    """Write reports/measure.json. Its figures are measurements: they differ from run to run."""
    test, columns = splits.read_test(), [column.name for column in splits.read_manifest().columns]
    engines = {"candidate": Engine(files.CANDIDATE)}
    if read_champion().version is not None:
        engines["champion"] = Engine(files.CHAMPION)
    work = {name: sample(engine, test, columns, measure) for name, engine in engines.items()}
    observed = take_turns(engines, work, measure, energy)
    performances = {name: performance(engines[name], turns, batch=measure.batch) for name, turns in observed.items()}
    training = files.read_report("train_energy", TrainingEnergy)
    measurement = Measurement(
        candidate=performances["candidate"],
        champion=performances.get("champion"),
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        training_energy=training.total,
        emissions=of_model(performances["candidate"].energy_per_1000, training, emissions),
    )
    files.write_report("measure", measurement)
    latencies = {name: turns.latency_ms for name, turns in observed.items()}
    files.write_bytes(files.REPORTS / "measure" / "latency.png", charts.latency(latencies, unit="ms"))


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
    energy: EnergyParams,
) -> dict[str, Turns]:
    """Interleave the contenders, in alternating order, so that a change of the machine's state hits both."""
    meter, turns = meters.choose(energy), {name: Turns() for name in engines}
    for name, engine in engines.items():
        _single(engine, work[name], calls=WARM_UP_CALLS)
    for repeat in range(measure.repeats):
        for name in list(engines)[:: 1 if repeat % 2 == 0 else -1]:
            one = turns[name]
            one.latency_ms += _single(engines[name], work[name], calls=len(work[name][0]))
            meter.start()
            seconds = _batches(engines[name], work[name], measure)
            one.energy_per_1000.append(meter.stop().scaled(1000 / measure.predictions))
            one.throughput_per_second.append(measure.predictions / seconds)
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


def _batches(engine: Engine, work: tuple[FloatArray, NDArray[np.int64]], measure: MeasureParams) -> float:
    """Answer `measure.predictions` windows in batches, the sample over and over; seconds it took."""
    rows = np.arange(measure.predictions) % len(work[0])
    begin = time.perf_counter()
    for start in range(0, measure.predictions, measure.batch):
        batch = rows[start : start + measure.batch]
        engine.run(work[0][batch], work[1][batch])
    return time.perf_counter() - begin


def performance(engine: Engine, turns: Turns, *, batch: int) -> Performance:
    """Medians over turns. The energy's interval spans the intervals of all turns: wide, but never too narrow."""
    p50, p99 = np.quantile(turns.latency_ms, [0.5, 0.99])
    spent = turns.energy_per_1000
    return Performance(
        digest=engine.candidate.digest,
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        throughput_per_second=median(turns.throughput_per_second),
        batch=batch,
        energy_per_1000=spent[0].model_copy(
            update={
                "joules": median(energy.joules for energy in spent),
                "interval": (min(energy.interval[0] for energy in spent), max(energy.interval[1] for energy in spent)),
                "seconds": median(energy.seconds for energy in spent),
            }
        ),
    )
