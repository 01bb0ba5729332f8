"""Simple forecasts that a model must beat to be worth its energy."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from tabular.columns import POWER
from wattline.task import Constants, Outputs, Predictor, Series, TrainingData

WEEK = 7


def predictors(data: TrainingData) -> Mapping[str, Predictor]:
    """Today's power, the mean of seven days, and the medians of the node and of the fleet in the train span."""
    return {
        "persistence": partial(persistence, data.constants),
        "seven_day_mean": partial(seven_day_mean, data.constants),
        "node_median": partial(node_median, data.constants),
        "fleet_median": partial(fleet_median, data.constants),
    }


def persistence(constants: Constants, series: Series) -> Outputs:
    """Tomorrow is like today; where today is missing, like the newest day that was recorded."""
    power = series.values[:, POWER]
    newest = np.maximum.accumulate(np.where(np.isnan(power), -1, np.arange(len(power))))
    known = np.where(newest >= 0, power[newest], usual_power(constants, series.unit))
    return {"score": known[series.history :]}


def seven_day_mean(constants: Constants, series: Series) -> Outputs:
    """Tomorrow is like the mean of what was recorded in seven days; without any, as usual."""
    week = series.windows(WEEK)[:, :, POWER]
    recorded = np.isfinite(week)
    days, watts = recorded.sum(axis=1), np.where(recorded, week, 0).sum(axis=1)
    usual = usual_power(constants, series.unit)
    return {"score": np.where(days > 0, watts / np.maximum(days, 1), usual).astype(np.float32)}


def node_median(constants: Constants, series: Series) -> Outputs:
    """Tomorrow is as usual for this node."""
    return {"score": np.full(len(series), usual_power(constants, series.unit), np.float32)}


def fleet_median(constants: Constants, series: Series) -> Outputs:
    """Tomorrow is as usual for the median node."""
    return {"score": np.full(len(series), constants.pooled_center[POWER], np.float32)}


def usual_power(constants: Constants, unit: str) -> np.float32:
    """Median power of a unit in the train span [W]; that of the median unit for one that was not there."""
    known = unit in constants.units
    center = constants.center[constants.units.index(unit)] if known else constants.pooled_center
    return np.float32(center[POWER])
