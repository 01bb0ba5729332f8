"""Fitting the forecasters, and calibrating what counts as a large error, from train and validation rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project import device as devices
from project import gradient
from project.detector import Detector
from project.forecasters import (
    ConvolutionalForecaster,
    Forecaster,
    LinearForecaster,
    Persistence,
    PrincipalComponents,
)
from project.least_squares import Autoregression, residual_projection, standardised
from project.options import TrainOptions
from wattline.task import FloatArray, InputError, Run, Split, TrainingData

POOLED_ROWS = 20_000
VALIDATION_WINDOWS = 4096

Curves = list[dict[str, float]]
Picks = NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A detector on the CPU.

    curves: one row of figures for each epoch
    notes: what it was computed on
    """

    detector: Detector
    curves: Curves
    notes: dict[str, str]


def fit(model: str, data: TrainingData, options: TrainOptions, run: Run) -> Fitted:
    """Fit and calibrate the detector that `model` names.

    Of several processes all descend, and the first one calibrates.
    """
    check(options, columns=len(data.columns))
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(run.seed)
    history = options.history_steps
    curves: Curves = []
    if model != "convolution":
        check_alone(model, run)
    # Equations are solved on the CPU: it takes seconds, and the same bits come out wherever it is done.
    notes = {"device": "cpu"}
    if model == "linear":
        forecaster: Forecaster = LinearForecaster(_solve(data, options, run))
    elif model == "pca":
        forecaster = PrincipalComponents(_residual_projections(data, options, run), history=history)
    elif model == "persistence":
        forecaster = Persistence(history=history)
    else:
        forecaster = ConvolutionalForecaster(
            len(data.columns),
            channels=options.convolution.channels,
            kernel=options.convolution.kernel,
            history=history,
        )
        device = devices.choose(options.convolution, run.processes)
        notes = devices.notes(device, options.convolution)
        curves = _descend(_detector(forecaster, data, options), data, options, run, device=device)
    # On the CPU, where it is judged and served, whatever it was trained on.
    detector = _detector(forecaster.cpu(), data, options).eval()
    if run.processes.rank > 0:
        return Fitted(detector, curves, notes)
    losses = calibrate(detector, data, options)
    return Fitted(detector, curves or [losses], notes)


def check(options: TrainOptions, *, columns: int) -> None:
    """Raise InputError for options that do not fit together, or not to the number of columns."""
    if options.components >= columns:
        raise InputError(
            f"params.yaml: train.components must be < {columns}, the number of columns, got {options.components}: "
            "nothing would be left over to be surprised by"
        )
    if options.convolution.kernel > options.history_steps:
        raise InputError(
            f"params.yaml: train.convolution.kernel must be <= train.history_steps, {options.history_steps}, "
            f"got {options.convolution.kernel}"
        )


def check_alone(model: str, run: Run) -> None:
    """Raise InputError where several processes would all solve the same equations."""
    if run.processes.count > 1:
        raise InputError(
            f"params.yaml: train.model {model} is solved in one go by one process, and {run.processes.count} were "
            "started; set nodes and tasks_per_node of hpc.stages.train to 1, or train.model to convolution"
        )


def calibrate(detector: Detector, data: TrainingData, options: TrainOptions) -> dict[str, float]:
    """Set the detector's spread of errors and its thresholds; no label is looked at.

    The spread comes from the errors on train rows, the threshold from the scores of train and validation rows. For
    units that were never seen both come from all units, judged with the pooled constants.
    """
    units, unknown = data.constants.units, len(data.constants.units)
    every = pooled_stride(data)
    strange = [detector.newest_errors(data.train[unit], -1, every=every) for unit in units]
    detector.spread[unknown] = _spread(np.concatenate(strange), options)
    losses: dict[str, list[float]] = {"train_loss": [], "validation_loss": []}
    for index, unit in enumerate(units):
        errors = detector.newest_errors(data.train[unit], index)
        losses["train_loss"].append(float(np.square(errors).mean()))
        losses["validation_loss"].append(float(np.square(detector.newest_errors(data.validation[unit], index)).mean()))
        detector.spread[index] = _spread(errors, options)
    strange_scores = []
    for index, unit in enumerate(units):
        calm = (data.train[unit], data.validation[unit])
        known = [detector.judge_series(series, index)["score"] for series in calm]
        detector.threshold[index] = float(np.quantile(np.concatenate(known), options.threshold_quantile))
        strange_scores += [detector.judge_series(series, -1)["score"][::every] for series in calm]
    detector.threshold[unknown] = float(np.quantile(np.concatenate(strange_scores), options.threshold_quantile))
    return {name: float(np.mean(values)) for name, values in losses.items()}


def _detector(forecaster: Forecaster, data: TrainingData, options: TrainOptions) -> Detector:
    return Detector(forecaster, data.constants, weights=_smoothing(options), largest=options.largest_error)


def _smoothing(options: TrainOptions) -> Tensor:
    """Exponentially decaying weights of the newest rows, oldest first."""
    age = torch.arange(options.smoothing_steps - 1, -1, -1, dtype=torch.float64)
    weights = torch.exp(-age / options.smoothing_decay_steps)
    return (weights / weights.sum()).float()


def pooled_stride(data: TrainingData) -> int:
    """Every how many-th row of all units makes about POOLED_ROWS rows."""
    return max(1, sum(len(series) for series in data.train.values()) // POOLED_ROWS)


def _spread(errors: FloatArray, options: TrainOptions) -> Tensor:
    return torch.from_numpy(np.sqrt(np.square(errors, dtype=np.float64).mean(axis=0)) + options.error_floor).float()


def _scaled_units(data: TrainingData, *, pooled: bool) -> Iterator[Tensor]:
    constants = data.constants
    for index, unit in enumerate(constants.units):
        center = constants.pooled_center if pooled else constants.center[index]
        scale = constants.pooled_scale if pooled else constants.scale[index]
        yield standardised(data.train[unit], center=center, scale=scale)


def _solve(data: TrainingData, options: TrainOptions, run: Run) -> Tensor:
    weights = []
    everyone = Autoregression(len(data.columns), history=options.history_steps)
    for rows in _scaled_units(data, pooled=True):
        everyone.add(rows)
    for done, rows in enumerate(_scaled_units(data, pooled=False), start=1):
        own = Autoregression(len(data.columns), history=options.history_steps)
        own.add(rows)
        weights.append(own.solve(options.ridge))
        run.report(f"unit {done}", done / len(data.constants.units), {})
    return torch.stack([*weights, everyone.solve(options.ridge)])


def _residual_projections(data: TrainingData, options: TrainOptions, run: Run) -> Tensor:
    moments = [rows.double().T @ rows.double() for rows in _scaled_units(data, pooled=False)]
    everyone = [rows.double().T @ rows.double() for rows in _scaled_units(data, pooled=True)]
    moments.append(torch.stack(everyone).sum(dim=0))
    run.report("directions", 1.0, {})
    return torch.stack([residual_projection(moment, components=options.components) for moment in moments])


def _descend(
    detector: Detector, data: TrainingData, options: TrainOptions, run: Run, *, device: torch.device
) -> Curves:
    steps, knobs = options.steps, options.convolution
    train = Windows(detector, data.train, data.constants.units, steps=steps)
    validation = Windows(detector, data.validation, data.constants.units, steps=steps)
    judged_by = validation.order(VALIDATION_WINDOWS, seed=[run.seed])

    @lru_cache(maxsize=1)
    def order(epoch: int) -> Picks:
        return train.order(knobs.windows_per_epoch, seed=[run.seed, epoch])

    devices.prepare(device, knobs)
    samples = gradient.Samples(
        train=lambda epoch, places: train.take(order(epoch)[places]),
        validation=lambda places: validation.take(judged_by[places]),
        validation_windows=VALIDATION_WINDOWS,
    )
    return gradient.train(detector.forecaster, samples, options=knobs, run=run, device=device)


class Windows:
    """Standardised windows of all units, drawn at random and reproducibly."""

    def __init__(self, detector: Detector, split: Split, units: tuple[str, ...], *, steps: int) -> None:
        self._detector = detector
        self._views = [split[unit].windows(steps) for unit in units]
        self._ends = np.cumsum([len(view) for view in self._views])

    def order(self, count: int, *, seed: list[int]) -> Picks:
        """Which windows, (count,); the same for the same seed."""
        return np.random.default_rng(seed).integers(0, self._ends[-1], size=count)

    def take(self, picks: Picks) -> Tensor:
        """(len(picks), steps, columns)."""
        owners = np.searchsorted(self._ends, picks, side="right")
        places = picks - np.concatenate([[0], self._ends])[owners]
        windows = np.empty((len(picks), *self._views[0].shape[1:]), np.float32)
        for row, (owner, place) in enumerate(zip(owners, places, strict=True)):
            windows[row] = self._views[owner][place]
        with torch.inference_mode():
            values, _ = self._detector.standardise(torch.from_numpy(windows), torch.from_numpy(owners))
        return values.clone()
