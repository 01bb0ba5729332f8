"""Bootstrap intervals over units: rows of one unit are not independent, units nearly are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wattline.records import Score


def bootstrap_mean(values: Sequence[float], *, resamples: int, seed: int) -> Score:
    """Mean over units with its 95 % percentile interval (Efron and Tibshirani 1993, chapter 13).

    values: one figure for each unit; NaN (undefined there) is left out and not counted
    """
    defined = np.asarray([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(defined):
        return Score(value=np.nan, low=np.nan, high=np.nan, units=0)
    low, high = np.quantile(_means(defined, resamples=resamples, seed=seed), [0.025, 0.975])
    return Score(value=float(defined.mean()), low=float(low), high=float(high), units=len(defined))


def paired_difference(candidate: Sequence[float], champion: Sequence[float], *, resamples: int, seed: int) -> Score:
    """Mean over units of candidate - champion with its 95 % interval. Units are resampled in pairs.

    Raises ValueError when the two are not the same units.
    """
    differences = [left - right for left, right in zip(candidate, champion, strict=True)]
    return bootstrap_mean(differences, resamples=resamples, seed=seed)


def _means(values: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, len(values), size=(resamples, len(values)))
    means: NDArray[np.float64] = values[picks].mean(axis=1)
    return means
