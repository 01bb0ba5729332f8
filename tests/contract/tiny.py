"""The two tasks of this repository, and data small enough to train either of them in a moment."""

from pathlib import Path

import numpy as np
import yaml

from wattline import splits
from wattline.checkpoints import Kept
from wattline.grid import cut
from wattline.moments import Moments
from wattline.params import TaskParams, load_task
from wattline.records import Column, Dataset, UnitRows
from wattline.stages.prepare import with_target
from wattline.task import Run, Series, TrainingData

ROOT = Path(__file__).resolve().parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
FOLDERS = {"node_anomaly": "src/project", "node_power": "examples/tabular"}
SMALLER = {"node_anomaly": {"history_steps": 6, "smoothing_steps": 4, "components": 1}, "node_power": {}}
"""Windows must fit into the few rows below, and directions into the few columns."""

COLUMNS = (
    Column(name="total_power_mean", unit="W"),
    Column(name="ambient_mean", unit="degC"),
    Column(name="cpu_user_mean", unit="%"),
)
UNITS = {"node-0": "rack-0", "node-1": "rack-0", "node-2": "rack-1"}
ROWS, CADENCE = 480, 86_400.0
START = np.datetime64("2026-01-01", "ns")
EDGES = START + np.array([240, 360]) * np.timedelta64(1, "D")
"""First instants of validation and test."""


def load(name):
    """The task of that name, as a stage would get it."""
    return load_task(TaskParams(name=name, folder=str(ROOT / FOLDERS[name])))


def options(name, **changes):
    """The task's own section of params.yaml, typed, with windows that fit the tiny data."""
    return load(name).options.model_validate({**PARAMS[name]["train"], **SMALLER[name], **changes})


def rows(unit, *, seed=0):
    """Rows of one unit: power that remembers yesterday, load that follows it, gaps, a labelled surge in the test."""
    place = list(UNITS).index(unit)
    generator = np.random.default_rng([seed, place])
    walk = np.zeros(ROWS)
    for day in range(1, ROWS):
        walk[day] = 0.8 * walk[day - 1] + generator.normal()
    values = np.stack([500 + 100 * place + 60 * walk, 22 + walk + generator.normal(0, 2, ROWS), 40 + 5 * walk], axis=1)
    labels = np.zeros(ROWS)
    labels[420:430] = 1
    values[420:430] *= 1.5
    values[generator.random(values.shape) < 0.02] = np.nan
    values[[50, 51, 300, 400]] = np.nan
    timestamps = START + np.arange(ROWS) * np.timedelta64(1, "D")
    return Series(unit, UNITS[unit], timestamps, values.astype(np.float32), labels)


def parts(task, *, seed=0):
    """Train, validation and test rows with the task's targets, and the constants, by the platform's own functions."""
    moments = Moments()
    cuts = {}
    for unit in UNITS:
        cuts[unit] = [with_target(part, task) for part in cut(rows(unit, seed=seed), EDGES)]
        moments.add(cuts[unit][0])
    train, validation, test = ({unit: three[place] for unit, three in cuts.items()} for place in range(3))
    return train, splits.with_history(validation, train), splits.with_history(test, validation), moments.constants()


def training_data(task, *, seed=0):
    """What `train` hands to the task."""
    train, validation, _, constants = parts(task, seed=seed)
    return TrainingData(train, validation, COLUMNS, CADENCE, constants)


def unseen_rows(task, *, seed=0):
    """What `evaluate` judges by: rows of each unit with history before them."""
    return parts(task, seed=seed)[2]


def train(name, folder, *, seed=0, **changes):
    """Train the task of that name on the tiny data."""
    run = Run(seed=seed, checkpoints=Kept(folder), report=lambda *_: None)
    task = load(name)
    return task.train(training_data(task), options(name, **changes), run)


def dataset(columns=COLUMNS):
    """The record of the tiny data."""
    instants = rows("node-0").timestamps[[0, -1]].astype("datetime64[s]").tolist()
    start, end = (f"{instant.isoformat()}Z" for instant in instants)
    units = tuple(UnitRows(name=unit, group=group, rows=ROWS, start=start, end=end) for unit, group in UNITS.items())
    return Dataset(
        name="tiny",
        source="simulator",
        home="local",
        licence="none",
        citation="none",
        cadence_seconds=CADENCE,
        columns=columns,
        units=units,
        labelled=True,
    )
