"""A descent of a few numbers, which takes no time and can be held at a step: what becomes of it there is the test's."""

import os
import time
from pathlib import Path

import numpy as np
from bakeoff.contestants.task import STEPS, Contestants, graph, scores

from wattline.errors import WattlineError
from wattline.records import Description, Record
from wattline.task import Checkpoint, Due, Run, Trained, TrainingData


class Options(Record):
    """steps: of the descent."""

    steps: int


class Descent(Contestants):
    """Every step rests on all before it: one that is left out, or done twice, changes the weights."""

    description: Description = Contestants.description.model_copy(update={"name": "descent"})
    options = Options  # type: ignore[assignment]

    def train(self, data: TrainingData, options: Options, run: Run) -> Trained:  # type: ignore[override]
        former = run.checkpoints.newest()
        weights = former.tensors["weights"] if former else np.ones(8)
        momentum = former.tensors["momentum"] if former else np.zeros(8)
        curves = list(former.notes["curves"]) if former else []
        for step in range(len(curves) + 1, options.steps + 1):
            noise = np.random.default_rng([run.seed, step]).normal(size=8)
            momentum = 0.9 * momentum + weights / 3 + noise
            weights = weights - 0.1 * momentum
            curves.append({"loss": float(np.square(weights).mean())})
            if (due := run.checkpoints.due()) is not Due.NO:
                tensors = {"weights": weights, "momentum": momentum}
                keep(Checkpoint(step, tensors, {"curves": curves}), due, run)
            run.report(f"step {step}", step / options.steps, curves[-1])
            hold(step, run)
        return Trained(
            model="descent",
            graph=graph(data.columns, sign=-1.0, layers=0).SerializeToString(),
            steps=STEPS,
            tensors={"weights": weights},
            reference=lambda windows, units: {"score": scores(windows, -1.0)},
            output_units={"score": "1"},
            curves=curves,
        )


def keep(checkpoint: Checkpoint, due: Due, run: Run) -> None:
    """Keep it, and leave a file that says why the training ends here, if it does."""
    try:
        run.checkpoints.keep(checkpoint, due)
    except WattlineError as error:
        write(f"told-{attempt_of_job()}", str(error))
        raise


def write(name: str, text: str) -> None:
    """Into the project, and whole."""
    Path(f"{name}.part").write_text(text)
    Path(f"{name}.part").rename(name)


def attempt_of_job() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def hold(step: int, run: Run) -> None:
    """Wait at the step that HOLDS has for this attempt until a signal comes, or a file that lets it go on."""
    attempt = attempt_of_job()
    holds = os.environ.get("HOLDS", "").split(",")
    if attempt >= len(holds) or holds[attempt] != str(step):
        return
    write(f"held-{attempt}", os.environ["SLURMD_NODENAME"])
    while run.checkpoints.due() is not Due.STOP and not Path(f"release-{attempt}").exists():
        time.sleep(0.05)


TASK = Descent()
