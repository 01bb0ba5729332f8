"""Training by gradient descent: a loop that can be read, shared by processes, interrupted, and resumed to the bit."""

import copy
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from project import device as devices
from project.options import ConvolutionOptions
from project.parallel import Group, together
from wattline.task import Checkpoint, Due, InputError, Run, WattlineError


@dataclass(frozen=True)
class Samples:
    """Windows to learn from and to be judged by. A process asks only for its own.

    train: epoch and places within it -> (windows, steps, columns), the same ones whenever they are asked for
    validation: places -> (windows, steps, columns)
    validation_windows: how many there are
    """

    train: Callable[[int, slice], Tensor]
    validation: Callable[[slice], Tensor]
    validation_windows: int


@dataclass
class Progress:
    """Where training stands.

    batches: of this epoch that were learned from
    steps: of all epochs
    losses: of those batches, each a tensor without axes
    """

    best_weights: dict[str, Tensor]
    epoch: int = 0
    batches: int = 0
    steps: int = 0
    best_loss: float | None = None
    best_epoch: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)


@dataclass
class Descent:
    """A model on its way down, in one of the processes that train it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    options: ConvolutionOptions
    group: Group

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.model.parameters())


def train(
    model: nn.Module,
    samples: Samples,
    *,
    options: ConvolutionOptions,
    run: Run,
    device: torch.device = devices.CPU,
) -> list[dict[str, float]]:
    """Minimise the mean squared error of forecasts; `model` ends on `device` with the weights of its best epoch.

    All of `run.processes` call this with the same model, samples and options, and end with the same weights.
    returns: one row of figures for each epoch; the last one is not finite where the training diverged
    """
    with together(run.processes, options, device) as group:
        model.to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
        descent = Descent(model, optimizer, devices.scaler(device, options), options, group)
        progress = _resume(run, descent)
        validation = _validation(samples, descent)
        while _goes_on(progress, options):
            _learn(descent, samples, progress, run)
            figures = _judge(descent, validation, samples.validation_windows, progress)
            run.report(f"epoch {progress.epoch}", progress.epoch / options.epochs, figures)
    model.load_state_dict(progress.best_weights)
    return progress.curves


def _goes_on(progress: Progress, options: ConvolutionOptions) -> bool:
    """Whether another epoch may help. What diverged does not come back."""
    diverged = bool(progress.curves) and not all(map(math.isfinite, progress.curves[-1].values()))
    return progress.epoch < options.epochs and progress.epoch - progress.best_epoch <= options.patience and not diverged


def _learn(descent: Descent, samples: Samples, progress: Progress, run: Run) -> None:
    """The rest of an epoch, with a checkpoint where one is due."""
    batch, windows = descent.options.batch, descent.options.windows_per_epoch
    for start in range(progress.batches * batch, windows, batch):
        rows = slice(start, min(start + batch, windows))
        loss, due = step(descent, samples, progress.epoch, rows, due=run.checkpoints.due())
        progress.losses.append(loss)
        progress.batches += 1
        progress.steps += 1
        if due is not Due.NO:
            run.checkpoints.keep(_checkpoint(descent, progress), due)


def _judge(descent: Descent, validation: list[Tensor], windows: int, progress: Progress) -> dict[str, float]:
    """The end of an epoch: its figures, and whether it was the best one."""
    losses = torch.stack(progress.losses).tolist()
    loss = evaluate(descent, validation, windows, epoch=progress.epoch)
    figures = {"train_loss": math.fsum(losses) / len(losses), "validation_loss": loss}
    progress.curves.append(figures)
    if progress.best_loss is None or loss < progress.best_loss:
        progress.best_loss, progress.best_epoch = loss, progress.epoch
        progress.best_weights = copy.deepcopy(descent.model.state_dict())
    progress.epoch += 1
    progress.batches, progress.losses = 0, []
    return figures


def step(descent: Descent, samples: Samples, epoch: int, rows: slice, *, due: Due) -> tuple[Tensor, Due]:
    """One descent by all processes; the batch's loss before it, and what is due anywhere.

    rows: places of the batch in its epoch
    """
    shards = _cut(rows, descent.options.shards)
    own = [
        _gradient(descent, samples.train(epoch, shards[place]), batch=rows.stop - rows.start)
        for place in descent.group.own(len(shards))
    ]
    total, due = descent.group.total(own, due)
    parts = total[:-1].split([parameter.numel() for parameter in descent.parameters])
    for parameter, part in zip(descent.parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
    descent.scaler.step(descent.optimizer)
    descent.scaler.update()
    return total[-1].clone(), due


def _gradient(descent: Descent, windows: Tensor, *, batch: int) -> Tensor:
    """What one shard adds to the gradient of the batch, flat, and to its loss, as the last entry."""
    device, parameters = descent.group.device, descent.parameters
    if not len(windows):  # of an epoch's last batch
        return torch.zeros(sum(parameter.numel() for parameter in parameters) + 1, device=device)
    with devices.autocast(device, descent.options):
        errors = _errors(descent.model, windows.to(device))
    loss = errors.float().square().sum() / (batch * errors[0].numel())
    gradients = torch.autograd.grad(descent.scaler.scale(loss), parameters)
    return torch.cat([*(gradient.reshape(-1) for gradient in gradients), loss.detach().reshape(1)])


def evaluate(descent: Descent, validation: list[Tensor], windows: int, *, epoch: int) -> float:
    """Mean squared error of all forecasts of all processes, in float32.

    validation: parts of this process
    windows: of all processes
    Raises WattlineError when the processes hold different weights.
    """
    group = descent.group
    sums = torch.zeros(len(_validation_parts(descent, windows)) // group.count + 2, dtype=torch.float64)
    with torch.inference_mode():
        for place, part in enumerate(validation):
            sums[place] = _errors(descent.model, part).square().mean() * len(part)
    if group.count > 1:
        sums[-1] = checksum(descent.model)
    everybodys = group.gather(sums.to(group.device)).cpu()
    for rank, found in enumerate(everybodys[:, -1].tolist()):
        if found != everybodys[0, -1]:
            raise WattlineError(
                f"processes 0 and {rank} hold different weights after epoch {epoch + 1}: their processors compute "
                "differently; let all nodes be of one kind"
            )
    # Exactly rounded, so in no order.
    return math.fsum(everybodys[:, :-1].flatten().tolist()) / windows


def _errors(model: nn.Module, windows: Tensor) -> Tensor:
    errors: Tensor = model(windows, torch.zeros(len(windows), dtype=torch.int64, device=windows.device))
    return errors


def checksum(model: nn.Module) -> int:
    """Of every bit of the weights."""
    value = 0
    for tensor in model.state_dict().values():
        value = zlib.crc32(tensor.cpu().contiguous().numpy().tobytes(), value)
    return value


def _cut(rows: slice, parts: int) -> list[slice]:
    """Neighbouring parts of about the same size; there may be empty ones."""
    edges = [rows.start + (rows.stop - rows.start) * place // parts for place in range(parts + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


def _validation_parts(descent: Descent, windows: int) -> list[slice]:
    """No larger than a shard, which is known to fit into memory."""
    size = descent.options.batch // descent.options.shards
    return [slice(start, min(start + size, windows)) for start in range(0, windows, size)]


def _validation(samples: Samples, descent: Descent) -> list[Tensor]:
    parts = _validation_parts(descent, samples.validation_windows)
    own = descent.group.own(len(parts))
    return [samples.validation(parts[place]).to(descent.group.device) for place in own]


def _checkpoint(descent: Descent, progress: Progress) -> Checkpoint:
    tensors = {f"model.{name}": tensor for name, tensor in descent.model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best_weights.items()}
    state = descent.optimizer.state_dict()["state"]
    tensors |= {f"optimizer.{place}.{name}": tensor for place, kept in state.items() for name, tensor in kept.items()}
    tensors["losses"] = torch.stack(progress.losses)
    notes: dict[str, Any] = {
        name: getattr(progress, name) for name in ("epoch", "batches", "steps", "best_loss", "best_epoch", "curves")
    }
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    return Checkpoint(
        progress.steps, arrays, notes | {"scaler": descent.scaler.state_dict(), "computed_by": _computed_by(descent)}
    )


def _computed_by(descent: Descent) -> dict[str, str]:
    """What must not change on the way, or the weights would be those of no undisturbed training."""
    return {"device": descent.group.device.type, "torch": torch.__version__}


def _check_alike(before: dict[str, str], now: dict[str, str], *, step: int) -> None:
    for name, remedy in (("device", "start it again on such a node"), ("torch", "start it again with that version")):
        if before[name] != now[name]:
            raise InputError(
                f"the checkpoint of step {step} was computed with {name} {before[name]}, and here it is {now[name]}: "
                f"the weights would be those of neither; {remedy}, or remove the checkpoints in the state folder"
            )


def _resume(run: Run, descent: Descent) -> Progress:
    found = run.checkpoints.newest()
    if found is None:
        return Progress(copy.deepcopy(descent.model.state_dict()))
    device, notes = descent.group.device, dict(found.notes)
    _check_alike(notes.pop("computed_by"), _computed_by(descent), step=found.step)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    losses = torch.from_numpy(found.tensors["losses"].copy()).to(device)
    for name, array in found.tensors.items():
        part, _, rest = name.partition(".")
        if rest:
            parts[part][rest] = torch.from_numpy(array.copy())
    descent.model.load_state_dict(parts["model"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        place, _, rest = name.partition(".")
        state.setdefault(int(place), {})[rest] = tensor
    descent.optimizer.load_state_dict({**descent.optimizer.state_dict(), "state": state})
    descent.scaler.load_state_dict(notes.pop("scaler"))
    return Progress(parts["best"], losses=list(losses), **notes)
