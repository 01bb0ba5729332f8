"""A model on disturbed telemetry: what a site's sensors and collectors do to it sooner or later."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from wattline.params import EvaluateParams
from wattline.task import Constants, Outputs, Predictor, Series

Change = Callable[[Series, np.random.Generator], Series]


def perturbations(
    answer: Predictor, constants: Constants, evaluate: EvaluateParams, *, seed: int
) -> dict[str, Predictor]:
    """Predictors that disturb the rows before `answer` sees them, each unit with a generator of its own."""
    changes: dict[str, Change] = {
        f"noise of {evaluate.noise:g} standard deviations": _noisy(constants, evaluate.noise),
        f"{100 * evaluate.missing:g}% of values missing": _lossy(evaluate.missing),
    }
    return {name: _disturbed(answer, change, constants, seed) for name, change in changes.items()}


def _disturbed(answer: Predictor, change: Change, constants: Constants, seed: int) -> Predictor:
    def disturbed(series: Series) -> Outputs:
        generator = np.random.default_rng([seed, constants.units.index(series.unit)])
        return answer(change(series, generator))

    return disturbed


def _noisy(constants: Constants, deviations: float) -> Change:
    def change(series: Series, generator: np.random.Generator) -> Series:
        scale = constants.scale[constants.units.index(series.unit)] * np.float32(deviations)
        noise = generator.standard_normal(series.values.shape, dtype=np.float32) * scale
        return replace(series, values=series.values + noise)

    return change


def _lossy(share: float) -> Change:
    def change(series: Series, generator: np.random.Generator) -> Series:
        lost = generator.random(series.values.shape, dtype=np.float32) < share
        return replace(series, values=np.where(lost, np.float32(np.nan), series.values))

    return change
