"""Training by gradient descent: a loop that can be read, interrupted, and resumed to the same weights."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.options import ConvolutionOptions
from wattline.task import Checkpoint, Run

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
    progress = _resume(run, model, optimizer)
    while progress.epoch < options.epochs and progress.epoch - progress.best_epoch <= options.patience:
        losses = [step(model, optimizer, batch) for batch in torch.split(batches(progress.epoch), options.batch)]
        loss = evaluate(model, validation, batch=options.batch)
        figures = {"train_loss": math.fsum(losses) / len(losses), "validation_loss": loss}
        progress.curves.append(figures)
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, progress.epoch
            progress.best_weights = copy.deepcopy(model.state_dict())
        progress.epoch += 1
        _save(run, model, optimizer, progress)
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


def _save(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best_weights.items()}
    state = optimizer.state_dict()["state"]
    tensors |= {f"optimizer.{place}.{name}": tensor for place, kept in state.items() for name, tensor in kept.items()}
    notes = {
        "epoch": progress.epoch,
        "best_loss": progress.best_loss,
        "best_epoch": progress.best_epoch,
        "curves": progress.curves,
    }
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    run.checkpoints.keep(Checkpoint(progress.epoch, arrays, notes))


def _resume(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    found = run.checkpoints.newest()
    if found is None:
        return Progress(0, math.inf, 0, copy.deepcopy(model.state_dict()), [])
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    for name, array in found.tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = torch.from_numpy(array.copy())
    model.load_state_dict(parts["model"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        place, _, rest = name.partition(".")
        state.setdefault(int(place), {})[rest] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return Progress(best_weights=parts["best"], **found.notes)
