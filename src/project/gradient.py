"""Training by gradient descent: a loop that can be read, interrupted, and resumed to the same weights."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from project.options import ConvolutionOptions
from wattline.task import Run

CHECKPOINT = "checkpoint.pt"

Batches = Callable[[int], Tensor]
"""Epoch -> (windows, steps, columns), the same windows whenever it is asked for the same epoch."""


@dataclass
class Progress:
    """Where training stands after an epoch."""

    epoch: int
    best_loss: float
    best_epoch: int
    best_weights: dict[str, Tensor]
    curves: list[dict[str, float]]


def train(
    model: nn.Module, batches: Batches, *, validation: Tensor, options: ConvolutionOptions, run: Run
) -> list[dict[str, float]]:
    """Minimise the mean squared error of forecasts; `model` ends with the weights of its best epoch.

    validation: (windows, steps, columns), judged after each epoch
    returns: one row of figures for each epoch
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    progress = _resume(run.checkpoints / CHECKPOINT, model, optimizer)
    while progress.epoch < options.epochs and progress.epoch - progress.best_epoch <= options.patience:
        losses = [step(model, optimizer, batch) for batch in torch.split(batches(progress.epoch), options.batch)]
        loss = evaluate(model, validation, batch=options.batch)
        figures = {"train_loss": math.fsum(losses) / len(losses), "validation_loss": loss}
        progress.curves.append(figures)
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, progress.epoch
            progress.best_weights = copy.deepcopy(model.state_dict())
        progress.epoch += 1
        _save(run.checkpoints / CHECKPOINT, model, optimizer, progress)
        run.report(f"epoch {progress.epoch}", progress.epoch / options.epochs, figures)
    model.load_state_dict(progress.best_weights)
    return progress.curves


def step(model: nn.Module, optimizer: torch.optim.Optimizer, windows: Tensor) -> float:
    """One descent; the loss before it."""
    optimizer.zero_grad(set_to_none=True)
    loss = _loss(model, windows)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def evaluate(model: nn.Module, windows: Tensor, *, batch: int) -> float:
    """Mean squared error of all forecasts of `windows`."""
    with torch.inference_mode():
        return math.fsum(float(_loss(model, part)) * len(part) for part in torch.split(windows, batch)) / len(windows)


def _loss(model: nn.Module, windows: Tensor) -> Tensor:
    unit = torch.zeros(len(windows), dtype=torch.int64)
    loss: Tensor = model(windows, unit).square().mean()
    return loss


def _save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    state: Mapping[str, Any] = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
    }
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    if not path.exists():
        return Progress(0, math.inf, 0, copy.deepcopy(model.state_dict()), [])
    # weights_only admits tensors and plain containers: a checkpoint cannot bring code with it.
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])
