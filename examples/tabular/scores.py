"""Errors of a forecast of power. `truth` and `forecast` are (days,) [W], at least one day, all known."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def errors(truth: Floats, forecast: Floats) -> Mapping[str, float]:
    """Every metric of the task."""
    error = forecast - truth
    return {
        "rmse_watts": float(np.sqrt(np.mean(error**2))),
        "mae_watts": float(np.mean(np.abs(error))),
        "mape_percent": percentage(error, truth),
        "absolute_bias_watts": float(np.abs(np.mean(error))),
    }


def percentage(error: Floats, truth: Floats) -> float:
    """Mean of |error| / truth [%] over days on which power was drawn; NaN without one."""
    drawing = truth > 0
    return float(100 * np.mean(np.abs(error[drawing]) / truth[drawing])) if drawing.any() else float("nan")
