"""measure: what answers of candidate and champion cost, in turns on one machine: time, energy, and energy over HTTP."""

from collections.abc import Mapping
from typing import Any

from wattline import charts, environment, files, splits
from wattline.energy import baselines, meters
from wattline.energy.emissions import of_model
from wattline.energy.meters import MeterError
from wattline.energy.paired import idle_share, per_1000, picture
from wattline.energy.paired.observations import idle_watts
from wattline.energy.paired.worker import Name
from wattline.measuring import contest, latency
from wattline.measuring.comparing import read_rows
from wattline.measuring.contest import Rows, Rules
from wattline.measuring.latency import Turns, sample, take_turns
from wattline.measuring.serving.session import serving_energy
from wattline.params import EmissionsParams, EnergyParams, GatesParams, MeasureParams, ServingParams, typed
from wattline.progress import progress
from wattline.records import Energy, EnergyTest, Measurement, Performance, TrainingEnergy
from wattline.serving.inference.engine import Engine
from wattline.stages.evaluate import read_champion
from wattline.task import Task

ROLES: Mapping[str, Name] = {"candidate": "candidate", "champion": "baseline"}
"""What contenders are called in an energy test."""


def run(
    *,
    measure: MeasureParams,
    energy: EnergyParams,
    gates: GatesParams,
    serving: ServingParams,
    train: Mapping[str, Any],
    seed: int,
    task: Task,
    emissions: EmissionsParams | None = None,
) -> None:
    """Write reports/measure.json with its pictures. Its figures are measurements: they differ from run to run."""
    device = serving.batching.device
    rows, rules = read_rows(), Rules(measure, gates, device)
    folders = {"candidate": files.CANDIDATE}
    if read_champion().version is not None:
        folders["champion"] = files.CHAMPION
    training = files.read_report("train_energy", TrainingEnergy)
    options = typed(task.options, train, where=f"params.yaml: {task.description.name}.train")
    engines = {name: Engine(folder, device=device) for name, folder in folders.items()}
    work = {name: sample(engine, rows.test, rows.columns, measure) for name, engine in engines.items()}
    turns = take_turns(engines, work, measure)
    with progress("measure") as say:
        test = contest.hold(
            {ROLES[name]: folder for name, folder in folders.items()},
            rows,
            meter=meters.choose(energy, device=device),
            task=task,
            rules=rules,
            seed=seed,
            say=say,
        )
    performances = {name: performance(engines[name], turns[name], test, ROLES[name]) for name in folders}
    measurement = Measurement(
        candidate=performances["candidate"],
        champion=performances.get("champion"),
        machine=environment.machine(),
        training_energy=training.total,
        test=test,
        serving=serving_energy(
            files.CANDIDATE, rows.test, columns=rows.columns, measure=measure, energy=energy, serving=serving
        ),
        baselines=measure_baselines(task, options, rows, test, measure=measure, energy=energy),
        emissions=of_model(performances["candidate"].energy_per_1000, training, emissions),
    )
    files.write_report("measure", measurement)
    draw(test, turns, rules)


def measure_baselines(
    task: Task, options: Any, rows: Rows, test: EnergyTest, *, measure: MeasureParams, energy: EnergyParams
) -> dict[str, Energy]:
    """Energy of 1,000 answers of each baseline [J], without the idle power that the energy test found."""
    return baselines.energies(
        task.baselines(splits.read_training_data(), options),
        rows.test,
        meter=meters.choose(energy),
        seconds=measure.session.sample_seconds,
        repeats=measure.repeats,
        idle_watts=idle_watts(test),
    )


def draw(test: EnergyTest, turns: Mapping[str, Turns], rules: Rules) -> None:
    """Write the pictures of reports/measure: the energy test, and the distribution of latencies."""
    drawn = picture.draw(test, contest.verdict(test, rules), margin=rules.gates.energy.margin)
    latencies = {name: one.latency_ms for name, one in turns.items()}
    files.write_bytes(files.REPORTS / "measure" / "energy.png", drawn)
    files.write_bytes(files.REPORTS / "measure" / "latency.png", charts.latency(latencies, unit="ms"))


def performance(engine: Engine, turns: Turns, test: EnergyTest, name: Name) -> Performance:
    """What a contender showed in its turns, and in the energy test.

    Raises MeterError when the test says nothing about its energy, with the reason.
    """
    try:
        energy = per_1000(test, name)
    except MeterError as error:
        raise MeterError(f"the energy test broke off: {test.problem}" if test.problem else str(error)) from None
    share = idle_share(test, name)
    return latency.performance(
        engine.candidate.digest, turns, batch=test.requests.batch, energy_per_1000=energy, idle_share=share
    )
