"""A small training of the convolutional model that tests start in one process or several: python learning.py OUTPUT.

Everything it learns from is made here. It prints what it did, and leaves weights and curves in OUTPUT.RANK.npz.
From the environment: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT, or Slurm's own words for them, and
OPTIONS, JSON of what differs from `CONVOLUTION` below; STOP, the step at which process STOP_RANK is told to stop; DIE,
at which it is gone; CHECKPOINT, a file that outlives it; PATIENCE [s]; SHARE_GPU, whether one GPU is to do for all.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.fitting import Windows, fit
from project.options import TrainOptions
from wattline.records import Column
from wattline.task import Checkpoint, Constants, Due, Processes, Run, Series, TrainingData, WattlineError

UNITS, COLUMNS, ROWS = ("node-0", "node-1"), 4, 300
CONVOLUTION: dict[str, Any] = {
    "channels": 6, "kernel": 3, "epochs": 2, "batch": 48, "learning_rate": 0.01, "patience": 2,
    "windows_per_epoch": 150, "shards": 4, "device": "cpu",
}  # fmt: skip
"""Four batches an epoch, the last one of 6 windows; eight steps in all."""
STEPS = 8
OPTIONS: dict[str, Any] = {
    "model": "convolution", "history_steps": 6, "smoothing_steps": 4, "smoothing_decay_steps": 2.0, "threads": 1,
    "ridge": 0.1, "components": 1, "largest_error": 20.0, "error_floor": 0.1, "threshold_quantile": 0.99,
}  # fmt: skip


class Paused(Exception):  # noqa: N818
    """Told to stop, with a checkpoint kept."""


class Stops:
    """Checkpoints in memory, or in a file of numpy's: the process is told to stop when it asks for the N-th time."""

    def __init__(self, at: int | None = None, *, path: Path | None = None, writes: bool = True, die: int = 0) -> None:
        self.at, self.path, self.writes, self.die = at, path, writes, die
        self.asked = 0
        self.last: Checkpoint | None = None

    def newest(self) -> Checkpoint | None:
        if self.path is not None and self.path.exists():
            with np.load(self.path) as stored:
                tensors = {name: stored[name] for name in stored.files if name != "said"}
                return Checkpoint(tensors=tensors, **json.loads(str(stored["said"])))
        return self.last

    def due(self) -> Due:
        self.asked += 1
        if self.asked == self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        return Due.STOP if self.asked == self.at else Due.NO

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        said = json.dumps({"step": checkpoint.step, "notes": dict(checkpoint.notes)}, allow_nan=False)
        tensors = {name: np.array(tensor) for name, tensor in checkpoint.tensors.items()}
        self.last = Checkpoint(tensors=tensors, **json.loads(said))
        if self.path is not None and self.writes:
            np.savez(self.path, said=said, **tensors)
        if due is Due.STOP:
            raise Paused


def options(**changes: Any) -> TrainOptions:
    """Of the whole training; `changes` are of the convolution."""
    return TrainOptions.model_validate(OPTIONS | {"convolution": CONVOLUTION | changes})


def data() -> TrainingData:
    """Rows of two units that remember the row before them."""

    def series(unit: str, seed: int) -> Series:
        noise = np.random.default_rng(seed).normal(size=(ROWS, COLUMNS))
        for row in range(1, ROWS):
            noise[row] += 0.8 * noise[row - 1]
        timestamps = np.datetime64("2026-01-01", "ns") + np.arange(ROWS) * np.timedelta64(60, "s")
        return Series(unit, "rack", timestamps, noise.astype(np.float32), np.zeros(ROWS))

    zeros, ones = np.zeros((len(UNITS), COLUMNS), np.float32), np.ones((len(UNITS), COLUMNS), np.float32)
    return TrainingData(
        train={unit: series(unit, place) for place, unit in enumerate(UNITS)},
        validation={unit: series(unit, 10 + place) for place, unit in enumerate(UNITS)},
        columns=tuple(Column(name=f"c{place}", unit="W") for place in range(COLUMNS)),
        cadence_seconds=60.0,
        constants=Constants(UNITS, zeros, ones, zeros[0], ones[0]),
    )


def learn(
    chosen: TrainOptions, *, checkpoints: Any = None, processes: Processes | None = None, report: Any = None
) -> dict[str, np.ndarray]:
    """Train; weights and curves by name."""
    run = Run(
        seed=7,
        report=report or (lambda *_: None),
        checkpoints=checkpoints or Stops(),
        processes=processes or Processes(),
    )
    fitted = fit("convolution", data(), chosen, run)
    weights = {name: tensor.numpy() for name, tensor in fitted.detector.forecaster.state_dict().items()}
    curves = {f"curve.{name}": np.array([row[name] for row in fitted.curves]) for name in fitted.curves[0]}
    return weights | curves


def digest(learned: Mapping[str, np.ndarray]) -> str:
    """Of every bit of weights and curves."""
    found = hashlib.sha256()
    for name, values in sorted(learned.items()):
        found.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def processes_of(environment: Mapping[str, str]) -> Processes:
    """As the platform reads them."""

    def said(*names: str) -> int:
        return int(next(environment[name] for name in names if name in environment))

    return Processes(
        rank=said("RANK", "SLURM_PROCID"),
        count=said("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"),
        local_rank=said("LOCAL_RANK", "SLURM_LOCALID"),
        rendezvous=f"tcp://{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}",
        served="torchrun" if environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True" else "",
        patience_seconds=float(environment.get("PATIENCE", "120")),
    )


def main(output: Path) -> int:
    """One of the processes; 75 when it was told to stop, 1 for an error, which is printed."""
    environment = os.environ
    processes = processes_of(environment)
    chosen = int(environment.get("STOP_RANK", "0")) == processes.rank
    path = environment.get("CHECKPOINT")
    checkpoints = Stops(
        int(environment["STOP"]) if chosen and "STOP" in environment else None,
        path=Path(path) if path else None,
        writes=processes.rank == 0,
        die=int(environment.get("DIE", "0")) if chosen else 0,
    )
    drawn = [0]
    take = Windows.take

    def counted(self: Windows, picks: Any) -> torch.Tensor:
        drawn[0] += len(picks)
        return take(self, picks)

    Windows.take = counted  # type: ignore[method-assign]
    if environment.get("SHARE_GPU"):  # NCCL believes that each process is on a machine of its own
        environment["NCCL_HOSTID"] = str(processes.rank)
        from project import rendezvous

        rendezvous.check_alike = lambda said: None  # type: ignore[assignment]
    try:
        learned = learn(
            options(**json.loads(environment.get("OPTIONS", "{}"))), checkpoints=checkpoints, processes=processes
        )
    except WattlineError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 1
    except Paused:
        print("paused", flush=True)
        return 75
    np.savez(f"{output}.{processes.rank}.npz", **learned)
    print(digest(learned), drawn[0], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
