"""Simple detectors that a model must beat to be worth its energy."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from project import fitting
from project.detector import Detector
from project.options import TrainOptions
from wattline.task import Outputs, Predictor, Run, Series, TrainingData

SIMPLE = ("persistence", "linear", "pca")


def predictors(data: TrainingData, options: TrainOptions) -> Mapping[str, Predictor]:
    """A constant score, and every simple model but the candidate's own kind, calibrated like the candidate."""
    closed_form = Run(seed=0, report=lambda *_: None)
    fitted = {name: fitting.fit(name, data, options, closed_form).detector for name in SIMPLE if name != options.model}
    return {
        "constant": constant,
        **{name: partial(judge, detector, data.constants.units) for name, detector in fitted.items()},
    }


def constant(series: Series) -> Outputs:
    """No row is more suspicious than another, and none alarms."""
    return {"score": np.zeros(len(series), np.float32), "threshold": np.zeros(len(series), np.float32)}


def judge(detector: Detector, units: tuple[str, ...], series: Series) -> Outputs:
    """Scores of a fitted detector for one unit."""
    return detector.judge_series(series, units.index(series.unit))
