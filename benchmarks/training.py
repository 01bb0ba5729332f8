"""Does the training loop of `project.gradient` cost anything beside the steps themselves?

python benchmarks/training.py     steps per second of CPU time, against a bare torch loop on the same model and batches

Both take each batch in one piece; what it costs one process to take it in two, as two processes would share it, is
printed beside.
"""

import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from clock import Figure, conclude, in_turns, paired_ratio
from torch import Tensor, nn

from project import gradient
from project.forecasters import ConvolutionalForecaster
from project.options import ConvolutionOptions
from wattline.checkpoints import Kept
from wattline.task import Run

MINIMUM_RATIO = 0.95
ROUNDS = 9
COLUMNS, HISTORY, SMOOTHING = 38, 40, 20
VALIDATION_WINDOWS = 1024
OPTIONS = ConvolutionOptions(
    channels=32, kernel=5, epochs=2, batch=128, learning_rate=0.001, patience=2, windows_per_epoch=4096, shards=1,
    device="cpu",
)  # fmt: skip
IN_TWO = OPTIONS.model_copy(update={"shards": 2})


def main() -> int:
    """Print the ratio of both loops beside its limit."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    windows = torch.randn(OPTIONS.windows_per_epoch, HISTORY + SMOOTHING, COLUMNS)
    validation = torch.randn(VALIDATION_WINDOWS, HISTORY + SMOOTHING, COLUMNS)
    calls = {
        "ours": partial(ours, windows, validation, OPTIONS),
        "in two": partial(ours, windows, validation, IN_TWO),
        "bare": partial(bare, windows, validation),
    }
    in_turns(calls, rounds=1)  # the first step of an optimizer imports for seconds
    # One thread: CPU time is what both cost, and does not count what else this machine does.
    seconds = in_turns(calls, rounds=ROUNDS, clock=time.process_time)
    steps = OPTIONS.epochs * -(-OPTIONS.windows_per_epoch // OPTIONS.batch)
    rates = {name: steps / median(spent) for name, spent in seconds.items()}
    print(f"      project.gradient {rates['ours']:.1f} steps/s, bare loop {rates['bare']:.1f} steps/s")
    print(f"      in two shards it takes {paired_ratio(seconds['in two'], seconds['ours']):.2f} times that CPU time")
    ratio = paired_ratio(seconds["bare"], seconds["ours"])
    return conclude([Figure("steps/s of project.gradient / bare loop", ratio, MINIMUM_RATIO, at_least=True)])


def ours(windows: Tensor, validation: Tensor, options: ConvolutionOptions) -> None:
    """The project's loop: with early stopping, best weights, curves, and a question for checkpoints at each step."""
    samples = gradient.Samples(
        lambda _, places: windows[places], lambda places: validation[places], validation_windows=len(validation)
    )
    with TemporaryDirectory() as folder:
        run = Run(seed=7, checkpoints=Kept(Path(folder)), report=lambda *_: None)
        gradient.train(model(), samples, options=options, run=run)


def bare(windows: Tensor, validation: Tensor) -> None:
    """The least that trains the same: steps, and the validation loss after each epoch."""
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=OPTIONS.learning_rate)
    for _ in range(OPTIONS.epochs):
        for batch in torch.split(windows, OPTIONS.batch):
            optimizer.zero_grad(set_to_none=True)
            loss = network(batch, None).square().mean()
            loss.backward()
            optimizer.step()
        with torch.inference_mode():
            for batch in torch.split(validation, OPTIONS.batch):
                network(batch, None).square().mean()


def model() -> nn.Module:
    """The convolutional forecaster at the size of the example."""
    return ConvolutionalForecaster(COLUMNS, channels=OPTIONS.channels, kernel=OPTIONS.kernel, history=HISTORY)


if __name__ == "__main__":
    sys.exit(main())
