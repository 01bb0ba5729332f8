"""What checkpoints cost a training by `project.gradient`: to ask for them at each step, and to keep one."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from clock import Figure, in_turns, paired_ratio
from torch import Tensor

from jobs.data_parallel import COLUMNS, HISTORY, OPTIONS, SMOOTHING, model, seeded
from project import gradient
from wattline.checkpoints import Kept
from wattline.params import HpcParams
from wattline.task import Checkpoint, Checkpoints, Due, NoCheckpoints, Run

LIMIT_PERCENT = 2.0
ROUNDS = 9
KEPT_ROUNDS = 5
AT_EVERY_STEP = 1e-9
BIG_MIB = 256


class Timed(Kept):
    """Checkpoints that note how long each was in keeping [s]."""

    def __init__(self, folder: Path, *, minutes: float) -> None:
        super().__init__(folder, minutes=minutes)
        self.seconds: list[float] = []

    def keep(self, checkpoint: Checkpoint, due: Due = Due.KEEP) -> None:
        begin = time.perf_counter()
        super().keep(checkpoint, due)
        self.seconds.append(time.perf_counter() - begin)


def figures() -> Iterator[Figure]:
    """Print what one checkpoint takes; give the cost of all in percent of the time of a training."""
    torch.set_num_threads(1)
    windows = torch.randn(OPTIONS.windows_per_epoch, HISTORY + SMOOTHING, COLUMNS, generator=seeded())
    minutes = HpcParams().checkpoint_minutes
    with TemporaryDirectory(prefix="wattline-") as name:
        folder = Path(name)
        asking = asked(windows, folder / "asked", minutes=minutes)
        small, big = kept(windows, folder / "small"), kept_big(folder / "big")
    for label, seconds in (("of the example", small), (f"of {BIG_MIB} MiB", big)):
        percent = 100 * seconds / (60 * minutes)
        print(f"      a checkpoint {label} takes {1000 * seconds:.1f} ms, and comes every {minutes:g} min")
        yield Figure(f"training time for checkpoints {label}", asking + percent, LIMIT_PERCENT, "%")


def asked(windows: Tensor, folder: Path, *, minutes: float) -> float:
    """Percent of CPU time that it takes to ask after each step whether a checkpoint is due."""
    calls = {
        "with": lambda: train(windows, Kept(folder, minutes=minutes)),
        "without": partial(train, windows, NoCheckpoints()),
    }
    in_turns(calls, rounds=1)  # the first step of an optimizer imports for seconds
    spent = in_turns(calls, rounds=ROUNDS, clock=time.process_time)
    # What is below nothing is the noise of this machine.
    percent = 100 * max(0.0, paired_ratio(spent["with"], spent["without"]) - 1)
    print(f"      to ask after each step takes {percent:.2f} % of CPU time")
    return percent


def kept(windows: Tensor, folder: Path) -> float:
    """Seconds for one checkpoint of a training that keeps one after every step."""
    seconds = []
    for turn in range(KEPT_ROUNDS):
        checkpoints = Timed(folder / str(turn), minutes=AT_EVERY_STEP)
        train(windows, checkpoints)
        seconds += checkpoints.seconds
    return median(seconds)


def kept_big(folder: Path) -> float:
    """Seconds for one checkpoint of a big model, with the state of its optimizer."""
    checkpoints = Timed(folder, minutes=AT_EVERY_STEP)
    checkpoints.newest()
    values = np.random.default_rng(7).normal(size=BIG_MIB * 2**20 // 4).astype(np.float32)
    for step in range(1, KEPT_ROUNDS + 1):
        checkpoints.keep(Checkpoint(step, {"values": values}, {}))
    return median(checkpoints.seconds)


def train(windows: Tensor, checkpoints: Checkpoints) -> None:
    """One epoch, and its validation on as much as one batch."""
    samples = gradient.Samples(lambda _, places: windows[places], lambda places: windows[places], OPTIONS.batch)
    run = Run(seed=7, checkpoints=checkpoints, report=lambda *_: None)
    gradient.train(model(), samples, options=OPTIONS, run=run)
