"""A ridge regression of tomorrow's power, one for all nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tabular.deviations import Deviations, Units
from tabular.options import TrainOptions
from wattline.task import FloatArray, Run, Split, TrainingData

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Forecaster:
    """The trained model.

    pipeline: standardises features and predicts how far tomorrow's power is from the node's usual one [W]
    """

    deviations: Deviations
    pipeline: Any

    def judge(self, windows: FloatArray, units: Units) -> dict[str, FloatArray]:
        """Tomorrow's mean power [W] for raw windows (rows, steps, columns) of units (rows,)."""
        change = self.pipeline.predict(self.deviations.features(windows, units))
        return {"score": (self.deviations.usual_power(units) + change).astype(np.float32)}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was fitted, by name."""
        scaler, ridge = self.pipeline["scaler"], self.pipeline["ridge"]
        return {
            "center": self.deviations.center,
            "scale": self.deviations.scale,
            "feature_mean": scaler.mean_,
            "feature_scale": scaler.scale_,
            "weight": ridge.coef_,
            "bias": np.atleast_1d(ridge.intercept_),
        }


def fit(data: TrainingData, options: TrainOptions, run: Run) -> tuple[Forecaster, list[Mapping[str, float]]]:
    """Fit one regression for each penalty and keep the best on validation rows.

    returns: the forecaster, and one row of figures for each penalty; the last row repeats the one that was kept
    """
    deviations = Deviations.of(data.constants, largest=options.largest_deviation)
    learnable = partial(examples, deviations=deviations, units=data.constants.units, steps=options.history_days)
    with threadpool_limits(limits=options.threads):
        features, change = learnable(data.train)
        unseen, unseen_change = learnable(data.validation)
        scaler = StandardScaler().fit(features)
        features, unseen = scaler.transform(features), scaler.transform(unseen)
        fitted, curves = [], []
        for done, penalty in enumerate(options.penalties, start=1):
            ridge = Ridge(alpha=penalty * len(features), solver="cholesky").fit(features, change)
            figures = {
                "penalty": penalty,
                "train_rmse_watts": rmse(ridge.predict(features), change),
                "validation_rmse_watts": rmse(ridge.predict(unseen), unseen_change),
            }
            fitted.append(ridge)
            curves.append(figures)
            run.report("fit", done / len(options.penalties), figures)
    best = best_of(curves)
    pipeline = Pipeline([("scaler", scaler), ("ridge", fitted[best])])
    return Forecaster(deviations, pipeline), [*curves, curves[best]]


def examples(split: Split, deviations: Deviations, *, units: Sequence[str], steps: int) -> tuple[Floats, Floats]:
    """Features (rows, steps * columns) and tomorrow's power less the usual one (rows,) [W], where it is known."""
    features, changes = [], []
    for unit, series in split.items():
        target = series.judged().target
        known = np.flatnonzero(np.isfinite(target))
        owner = np.full(len(known), units.index(unit), dtype=np.int64)
        features.append(deviations.features(series.windows(steps)[known], owner))
        changes.append(target[known] - deviations.usual_power(owner))
    return np.concatenate(features, dtype=np.float64), np.concatenate(changes)


def best_of(curves: Sequence[Mapping[str, float]]) -> int:
    """Place of the smallest validation error."""
    return int(np.argmin([figures["validation_rmse_watts"] for figures in curves]))


def rmse(predicted: Floats, truth: Floats) -> float:
    """Root of the mean squared error, in the unit of its arguments."""
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))
