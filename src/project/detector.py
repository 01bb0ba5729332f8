"""From a raw window to an anomaly score: scaling, forecasting and judging in one module, which becomes the graph."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from project.forecasters import Forecaster
from wattline.task import Constants, FloatArray, Series

LARGEST_DEVIATION = 1e4
"""Beyond so many standard deviations a reading is a defect of the sensor; how far beyond says nothing more."""

BATCH = 256


class Judgement(NamedTuple):
    """What the detector says of each window.

    score: (batch,) mean over columns of `contribution`
    threshold: (batch,) score above which the unit raises an alarm
    contribution: (batch, columns) how surprising each column's newest rows are [normal errors]
    """

    score: Tensor
    threshold: Tensor
    contribution: Tensor


class Detector(nn.Module):  # type: ignore[misc]
    """Per-unit constants around a forecaster; the last entry of each serves units that were never seen.

    center, scale: (units + 1, columns) location and spread of raw values
    spread: (units + 1, columns) typical size of the forecaster's errors, in units of `scale`
    threshold: (units + 1,)
    weights: (smoothing,) how much the error of each of the newest rows counts, oldest first; they sum to 1
    largest: errors above it count no more [spread]
    """

    center: Tensor
    scale: Tensor
    spread: Tensor
    threshold: Tensor
    weights: Tensor

    def __init__(self, forecaster: Forecaster, constants: Constants, *, weights: Tensor, largest: float) -> None:
        super().__init__()
        self.history = forecaster.history
        self.largest = largest
        self.forecaster = forecaster
        self.unknown = len(constants.units)
        self.register_buffer("center", _with_pooled(constants.center, constants.pooled_center))
        self.register_buffer("scale", _with_pooled(constants.scale, constants.pooled_scale))
        self.register_buffer("spread", torch.ones_like(self.scale))
        self.register_buffer("weights", weights)
        self.register_buffer("threshold", torch.zeros(self.unknown + 1))

    def index(self, unit: Tensor) -> Tensor:
        """Place of each unit in the constants; anything outside is the unknown unit."""
        known = (unit >= 0) & (unit < self.unknown)
        return torch.where(known, unit, torch.full_like(unit, self.unknown))

    def standardise(self, window: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Values in standard deviations with 0 for what is missing, and 1 where there was a value."""
        present = ~torch.isnan(window)
        values = (window - self.center[index].unsqueeze(1)) / self.scale[index].unsqueeze(1)
        values = torch.where(present, values, torch.zeros_like(values))
        return values.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION), present.to(window.dtype)

    def errors(self, window: Tensor, unit: Tensor) -> Tensor:
        """Size of the newest rows' errors, (batch, smoothing, columns), in `scale`; 0 where nothing was recorded."""
        index = self.index(unit)
        values, present = self.standardise(window, index)
        errors: Tensor = self.forecaster(values, index)
        return errors.abs() * present[:, -errors.shape[1] :]

    def surprise(self, errors: Tensor, index: Tensor) -> Tensor:
        """`errors` (batch, rows, columns) in multiples of normal errors, up to `largest`."""
        return (errors / self.spread[index].unsqueeze(1)).clamp(max=self.largest)

    def forward(self, window: Tensor, unit: Tensor) -> Judgement:
        """Judge raw windows (batch, steps, columns), NaN where a sample is missing, of units (batch,) int64."""
        index = self.index(unit)
        surprise = self.surprise(self.errors(window, unit), index)
        contribution = (surprise * self.weights.unsqueeze(1)).sum(dim=1)
        return Judgement(contribution.mean(dim=1), self.threshold[index], contribution)

    def judge(self, windows: FloatArray, units: NDArray[np.int64]) -> dict[str, FloatArray]:
        """`forward` for arrays, in batches that fit into memory."""
        with torch.inference_mode():
            parts = [
                self(torch.from_numpy(windows[rows].copy()), torch.from_numpy(units[rows]))
                for rows in _batches(len(windows))
            ]
        return {name: torch.cat([getattr(part, name) for part in parts]).numpy() for name in Judgement._fields}

    def judge_series(self, series: Series, index: int) -> dict[str, FloatArray]:
        """Judge every row of one unit that counts: what `judge` says, with each row's error computed only once."""
        smoothing, place = len(self.weights), self.index(torch.tensor([index]))
        errors = self.newest_errors(_reaching_back(series, smoothing - 1), index)
        with torch.inference_mode():
            surprise = self.surprise(torch.from_numpy(errors).unsqueeze(0), place)[0]
            contribution = surprise.unfold(0, smoothing, 1) @ self.weights
            threshold = self.threshold[place].expand(len(contribution))
        judgement = Judgement(contribution.mean(dim=1), threshold, contribution)
        return {name: getattr(judgement, name).numpy() for name in Judgement._fields}

    def newest_errors(self, series: Series, index: int, *, every: int = 1) -> FloatArray:
        """Size of each `every`-th row's own error, (rows, columns)."""
        windows = series.windows(self.history + 1)[::every]
        unit = torch.full((BATCH,), index, dtype=torch.int64)
        with torch.inference_mode():
            parts = [
                self.errors(torch.from_numpy(windows[rows].copy()), unit[: rows.stop - rows.start])[:, -1]
                for rows in _batches(len(windows))
            ]
        errors: FloatArray = torch.cat(parts).numpy()
        return errors


def _reaching_back(series: Series, rows: int) -> Series:
    """The same series with `rows` rows of its history counted in; the first row is repeated where history is short."""
    missing = max(0, rows - series.history)
    padding = [np.repeat(array[:1], missing, axis=0) for array in (series.timestamps, series.values, series.target)]
    timestamps, values, target = (
        np.concatenate([pad, array])
        for pad, array in zip(padding, (series.timestamps, series.values, series.target), strict=True)
    )
    return Series(series.unit, series.group, timestamps, values, target, series.history + missing - rows)


def _with_pooled(values: FloatArray, pooled: FloatArray) -> Tensor:
    return torch.from_numpy(np.concatenate([values, pooled[None]]))


def _batches(length: int) -> list[slice]:
    return [slice(start, min(start + BATCH, length)) for start in range(0, length, BATCH)]
