"""Simple detectors that a model must beat to be worth its energy."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from project import fitting
from project.detector import Detector
from project.options import TrainOptions
from wattline.task import Outputs, Predictor, Run, Series, TrainingData

FITTED = ("persistence", "pca")


def predictors(data: TrainingData, options: TrainOptions) -> Mapping[str, Predictor]:
    """A constant score, first differences and PCA reconstruction; the fitted ones are calibrated like the model."""
    closed_form = Run(seed=0, checkpoints=Path(), report=lambda *_: None)
    fitted = {name: fitting.fit(name, data, options, closed_form)[0] for name in FITTED}
    return {
        "constant": constant,
        **{name: partial(judge, detector, data.constants.units, options) for name, detector in fitted.items()},
    }


def constant(series: Series) -> Outputs:
    """No row is more suspicious than another, and none alarms."""
    return {"score": np.zeros(len(series), np.float32), "threshold": np.zeros(len(series), np.float32)}


def judge(detector: Detector, units: tuple[str, ...], options: TrainOptions, series: Series) -> Outputs:
    """Scores of a fitted detector for one unit."""
    return detector.judge_series(series, units.index(series.unit), steps=options.steps)
