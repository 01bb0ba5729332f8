"""measure: latency and throughput of candidate and champion in turns, and the energy test between them."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wattline import charts, files
from wattline.energy import meters
from wattline.energy.meters import MeterError
from wattline.energy.paired import idle_share, per_1000
from wattline.energy.paired.worker import Name
from wattline.measuring import contest
from wattline.measuring.comparing import read_rows
from wattline.measuring.contest import Rows, Rules
from wattline.params import EnergyParams, GatesParams, MeasureParams
from wattline.progress import progress
from wattline.records import Energy, EnergyTest, Measurement, Performance
from wattline.serving.inference.engine import Engine
from wattline.stages.evaluate import read_champion
from wattline.task import FloatArray, Split, Task

WARM_UP_CALLS = 20
ROLES: Mapping[str, Name] = {"candidate": "candidate", "champion": "baseline"}
"""What contenders are called in an energy test."""


@dataclass
class Turns:
    """What one contender showed in its turns.

    latency_ms: one figure for each single window [ms]
    throughput_per_second: one figure for each turn
    """

    latency_ms: list[float] = field(default_factory=list)
    throughput_per_second: list[float] = field(default_factory=list)


def run(*, measure: MeasureParams, energy: EnergyParams, gates: GatesParams, seed: int, task: Task) -> None:
    """Write reports/measure.json. Its figures are measurements: they differ from run to run."""
    rows, folders = read_rows(), {"candidate": files.CANDIDATE}
    if read_champion().version is not None:
        folders["champion"] = files.CHAMPION
    training_energy = files.read_report("train_energy", Energy)
    engines = {name: Engine(folder) for name, folder in folders.items()}
    work = {name: sample(engine, rows.test, rows.columns, measure) for name, engine in engines.items()}
    turns = take_turns(engines, work, measure)
    test = hold(folders, rows, measure=measure, energy=energy, gates=gates, seed=seed, task=task)
    performances = {name: performance(engines[name], turns[name], test, ROLES[name]) for name in folders}
    measurement = Measurement(
        candidate=performances["candidate"],
        champion=performances.get("champion"),
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        training_energy=training_energy,
        test=test,
    )
    files.write_report("measure", measurement)
    latencies = {name: one.latency_ms for name, one in turns.items()}
    files.write_bytes(files.REPORTS / "measure" / "latency.png", charts.latency(latencies, unit="ms"))


def hold(
    folders: Mapping[str, Path],
    rows: Rows,
    *,
    measure: MeasureParams,
    energy: EnergyParams,
    gates: GatesParams,
    seed: int,
    task: Task,
) -> EnergyTest:
    """The energy test of the candidate against the champion, or alone."""
    with progress("measure") as say:
        return contest.hold(
            {ROLES[name]: folder for name, folder in folders.items()},
            rows,
            meter=meters.choose(energy),
            task=task,
            rules=Rules(measure, gates),
            seed=seed,
            say=say,
        )


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


def performance(engine: Engine, turns: Turns, test: EnergyTest, name: Name) -> Performance:
    """What a contender showed in its turns, and in the energy test.

    Raises MeterError when the test says nothing about its energy, with the reason.
    """
    p50, p99 = np.quantile(turns.latency_ms, [0.5, 0.99])
    try:
        energy = per_1000(test, name)
    except MeterError as error:
        raise MeterError(f"the energy test broke off: {test.problem}" if test.problem else str(error)) from None
    return Performance(
        digest=engine.candidate.digest,
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        throughput_per_second=median(turns.throughput_per_second),
        batch=test.requests.batch,
        energy_per_1000=energy,
        idle_share=idle_share(test, name),
    )
