"""The contract between the platform and a project: what a task must be able to do, and what it is handed."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from wattline.errors import InputError as InputError  # for tasks to raise: it becomes one line and exit code 2
from wattline.errors import WattlineError as WattlineError  # the same with exit code 1: nothing handed in was wrong
from wattline.records import Column, Dataset, Description, Record

FloatArray = NDArray[np.float32]
Outputs = Mapping[str, NDArray[Any]]
"""Output name -> array whose first axis is rows. `score` (rows,) is always there."""


class Expectation(Record):
    """One thing that rows must satisfy.

    rule: name of a Great Expectations expectation type, e.g. "expect_column_values_to_be_between"
    arguments: its arguments
    """

    rule: str
    arguments: Mapping[str, Any]
    severity: Literal["critical", "warning"] = "critical"


@dataclass(frozen=True)
class Series:
    """Rows of one unit in time order, on a regular grid.

    timestamps: (rows,) datetime64[ns], UTC
    values: (rows, columns) float32 in the units of the columns, NaN where nothing was recorded
    target: (rows,) float64, what a row's answer is judged against; NaN where that is unknown
    history: how many leading rows only give context to the first windows and are not judged themselves
    """

    unit: str
    group: str
    timestamps: NDArray[np.datetime64]
    values: FloatArray
    target: NDArray[np.float64]
    history: int = 0

    def __len__(self) -> int:
        """Rows that are judged."""
        return len(self.timestamps) - self.history

    def windows(self, steps: int) -> FloatArray:
        """One window for each judged row, as a read-only view.

        steps: rows of a window; the last one is the judged row
        returns: (len(self), steps, columns); where history is too short, the earliest row is repeated
        """
        missing = max(0, steps - 1 - self.history)
        values = self.values[max(0, self.history - steps + 1) :]
        if missing:
            values = np.concatenate([np.repeat(values[:1], missing, axis=0), values])
        return np.lib.stride_tricks.sliding_window_view(values, steps, axis=0).transpose(0, 2, 1)

    def judged(self) -> "Series":
        """The same rows without their history."""
        return self.chosen(slice(self.history, None))

    def chosen(self, rows: slice | NDArray[np.bool_], *, history: int = 0) -> "Series":
        """Some of the rows; `history` of them lead those that are judged."""
        return Series(self.unit, self.group, self.timestamps[rows], self.values[rows], self.target[rows], history)


Split = Mapping[str, Series]
"""Unit name -> its rows."""


@dataclass(frozen=True)
class Constants:
    """Robust location and spread of each column, fitted on train rows alone.

    center, scale: (units, columns) float32; the median, and the standard deviation with 1 where a column is constant
    pooled_center, pooled_scale: (columns,), for a unit that was not seen
    """

    units: tuple[str, ...]
    center: FloatArray
    scale: FloatArray
    pooled_center: FloatArray
    pooled_scale: FloatArray


@dataclass(frozen=True)
class TrainingData:
    """All that training may see. There is no test row in here."""

    train: Split
    validation: Split
    columns: tuple[Column, ...]
    cadence_seconds: float
    constants: Constants


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    step: how much of the work is done, counted as the task likes; a later checkpoint has a higher one
    tensors: weights, and the optimizer's state, by name
    notes: whatever else it takes to go on, as JSON has it
    """

    step: int
    tensors: Mapping[str, NDArray[Any]]
    notes: Mapping[str, Any]


class Due(IntEnum):
    """Whether a training should keep a checkpoint now. Of several processes the largest answer holds for all."""

    NO = 0
    KEEP = 1
    STOP = 2
    """Keep one and end: the time limit is near, or the job was told to make room."""


class Checkpoints(Protocol):
    """What lets an interrupted training go on. Of several processes the first one writes."""

    def newest(self) -> Checkpoint | None:
        """The last one of a training with the same rows, options, seed and code; None before the first one.

        Every process gets the same one, so every process has to ask.
        """
        ...

    def due(self) -> Due:
        """Ask this after every step: it costs next to nothing. Who never asks is ended by SIGTERM at once."""
        ...

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        """Keep it, whole or not at all. Raises PausedError after it when `due` is STOP.

        Every process calls it, with the same step. A process that trains alone and was told to end ends here anyway.
        """
        ...


class NoCheckpoints:
    """For a training that is over in a moment."""

    def newest(self) -> None:
        return None

    def due(self) -> Due:
        return Due.NO

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        pass


@dataclass(frozen=True)
class Processes:
    """The processes that train one model together.

    rank: place of this one among `count`
    local_rank: its place among those on its node
    rendezvous: where they meet, tcp://HOST:PORT; "" for one that is alone
    served: name of this start where torchrun serves that place; "" where the first process does
    patience_seconds: how long they wait for each other, to begin and at each step, before they give up [s]
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    rendezvous: str = ""
    served: str = ""
    patience_seconds: float = 300.0


@dataclass(frozen=True)
class Run:
    """What the platform lends to one training.

    report: called with a stage of work, how far it is (0..1) and figures worth showing; of several processes each calls
        it, and what the first one says is shown
    checkpoints: what lets it go on after an interruption
    processes: those that train together; one, unless a job of several was started
    """

    seed: int
    report: Callable[[str, float, Mapping[str, float]], None]
    checkpoints: Checkpoints = field(default_factory=NoCheckpoints)
    processes: Processes = field(default_factory=Processes)


@dataclass(frozen=True)
class Trained:
    """A trained model.

    graph: the ONNX model, serialized. Inputs `window` (batch, steps, columns) float32 in raw units and `unit` (batch,)
        int64; outputs `score` (batch,) and whatever else the task's signature names
    steps: rows of a window
    tensors: weights by name, saved as safetensors
    reference: the trained model itself, (windows, unit indices) -> outputs: what the graph must agree with
    curves: one mapping for each epoch (or step of the fit), plotted and logged
    notes: what it was trained on and how, e.g. {"device": "cuda", "precision": "bfloat16"}; told beside its energy
    """

    model: str
    graph: bytes
    steps: int
    tensors: Mapping[str, NDArray[Any]]
    reference: Callable[[FloatArray, NDArray[np.int64]], Outputs]
    output_units: Mapping[str, str]
    curves: Sequence[Mapping[str, float]] = field(default_factory=list)
    notes: Mapping[str, str] = field(default_factory=dict)


Predictor = Callable[[Series], Outputs]
"""Answers for the judged rows of one unit: arrays of len(series)."""


@runtime_checkable
class Task(Protocol):
    """A machine-learning task, as the platform sees it. `src/project/task.py` holds yours."""

    description: Description
    options: type[BaseModel]
    """Type of the `train` section of params.yaml."""

    def expectations(self, dataset: Dataset) -> Sequence[Expectation]:
        """What the rows of `dataset` must satisfy before anything is computed from them."""
        ...

    def target(self, series: Series) -> NDArray[np.float64]:
        """What each row's answer is judged against, (rows,), from the rows of one split; NaN where unknown."""
        ...

    def train(self, data: TrainingData, options: Any, run: Run) -> Trained:
        """Train a model and export it as one ONNX graph. Of several processes, only the first one's answer is used."""
        ...

    def baselines(self, data: TrainingData, options: Any) -> Mapping[str, Predictor]:
        """Simple answers that a model must beat to be worth its energy."""
        ...

    def score(self, truth: Series, outputs: Outputs, *, cadence_seconds: float) -> Mapping[str, float]:
        """Every metric of the description for one unit; NaN where it is undefined."""
        ...


def folder_of(task: Task) -> Path:
    """Where the sources of `task` lie."""
    return Path(inspect.getfile(type(task))).parent


MEMBERS = ("description", "options", "expectations", "target", "train", "baselines", "score")


def missing_members(candidate: object) -> Iterator[str]:
    """Names of the contract that `candidate` lacks."""
    return (name for name in MEMBERS if not hasattr(candidate, name))
