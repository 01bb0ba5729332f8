"""`train` as a program that can be killed: python resumable.py EPOCH dies in that epoch, once something was read."""

import os
import signal
import sys
from pathlib import Path

from stages.conftest import Scorer, ScorerOptions

from wattline.energy import parts, training
from wattline.params import EnergyParams
from wattline.stages import train
from wattline.task import Checkpoint, Run, Trained, TrainingData

EPOCHS = 3


class Resumable(Scorer):
    """Works for some epochs, and knows after an interruption how many there were."""

    def __init__(self, fatal: int) -> None:
        super().__init__()
        self.fatal = fatal

    def train(self, data: TrainingData, options: ScorerOptions, run: Run) -> Trained:
        former = run.checkpoints.newest()
        for epoch in range(former.step + 1 if former else 1, EPOCHS + 1):
            sum(range(1_000_000))
            run.checkpoints.keep(Checkpoint(epoch, {}, {}))
            print("epoch", epoch, flush=True)
            while epoch == self.fatal:
                sum(range(10_000))
                die_once_read()
        return super().train(data, options, run)


def die_once_read() -> None:
    """Leave as a node that loses its power does."""
    (folder,) = Path(".wattline/checkpoints").glob("*/energy")
    if parts.read(folder)[-1].energy is not None:
        os.kill(os.getpid(), signal.SIGKILL)


def log(*_: object, **__: object) -> str:
    print("logged", flush=True)
    return "run"


if __name__ == "__main__":
    training.LAP_SECONDS = 0.1
    train.tracking.log_training = log
    energy = EnergyParams(
        meter="estimate", watts_per_core=10, watts_source="a test", idle_share=0, idle_source="a test"
    )
    train.run(train={}, energy=energy, seed=7, task=Resumable(int(sys.argv[1])))
