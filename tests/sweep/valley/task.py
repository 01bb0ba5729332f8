"""A task whose loss is a valley with its floor at x = 3, and whose trainings die, wait or look around when told so."""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import numpy as np
from bakeoff.contestants import task as contestants

from wattline.records import Description, Metric, Record
from wattline.task import Checkpoint, Due, InputError, Run, Trained, TrainingData

FLOOR = 3.0
PRESENT = 8.0
HOLD = "VALLEY_HOLD"
"""Variable with the name of a file: while it is there no trial ends but the first, unless it is told to."""


class Nested(Record):
    """A section of options.

    y: adds its distance from 2 to the loss
    """

    y: int = 2


class Options(Record):
    """The `train` section.

    x: place in the valley; below 0 the training refuses it
    epochs: figures that are reported
    does: besides; `dies` kills its process in the second epoch, `is told` sends it a notice there, once
    """

    x: float = PRESENT
    epochs: int = 3
    does: Literal["nothing", "dies", "diverges", "peeks", "is told", "fails"] = "nothing"
    nested: Nested = Nested()


class Valley(contestants.Contestants):
    """Learns nothing, and says how far from the floor it is."""

    description = Description(
        name="valley",
        purpose="Scores windows.",
        intended_use="Tests of sweeps.",
        out_of_scope="Everything else.",
        limits="It learns nothing.",
        output="mean absolute value",
        output_unit="1",
        metrics=(Metric(name="height", unit="m", higher_is_better=False, description="of the answers, on labels"),),
    )
    options = Options

    def train(self, data: TrainingData, options: Options, run: Run) -> Trained:  # type: ignore[override]
        if options.x < 0:
            raise InputError(f"x is {options.x}, below 0 there is no valley")
        found = run.checkpoints.newest()
        self.began = time.monotonic()
        curves = [dict(figures) for figures in found.notes["curves"]] if found else []
        while len(curves) < options.epochs:
            self._epoch(curves, options, run)
        sign = 1.0
        return Trained(
            model="valley",
            graph=contestants.graph(data.columns, sign=sign, layers=0).SerializeToString(),
            steps=contestants.STEPS,
            tensors={"sign": np.asarray([sign], np.float32)},
            reference=lambda windows, units: {"score": contestants.scores(windows, sign) * options.x},
            output_units={"score": "1"},
            curves=curves,
        )

    def _epoch(self, curves: list[dict[str, float]], options: Options, run: Run) -> None:
        epoch = len(curves)
        if options.does == "dies" and epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if options.does == "peeks" and list(Path().rglob("test")):
            raise InputError("there is a test part")
        if options.does == "fails":
            raise ZeroDivisionError("a mistake of the task")
        if options.does == "is told" and epoch == 1 and run.checkpoints.due() is Due.NO:
            os.kill(os.getpid(), signal.SIGUSR1)
        hold = os.environ.get(HOLD)
        while hold and Path(hold).exists() and options.x != PRESENT and run.checkpoints.due() is not Due.STOP:
            time.sleep(0.05)
        loss = (options.x - FLOOR) ** 2 + abs(options.nested.y - 2) + 1 / (epoch + 1)
        figures = {"validation_loss": np.nan if options.does == "diverges" else loss, "began": self.began}
        curves.append(figures)
        run.report(f"epoch {epoch + 1}", (epoch + 1) / options.epochs, curves[-1])
        due = run.checkpoints.due()
        if due is not Due.NO:
            run.checkpoints.keep(Checkpoint(len(curves), {"x": np.asarray([options.x])}, {"curves": curves}), due)

    def score(self, truth, outputs, *, cadence_seconds):  # type: ignore[no-untyped-def]
        return {"height": float(np.abs(outputs["score"]).mean())}


TASK = Valley()
