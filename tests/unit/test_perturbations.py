"""perturbations: the same disturbance every time, another for each unit, as large as it says."""

import numpy as np
import pytest
from builders import series

from wattline.params import EvaluateParams
from wattline.perturbations import perturbations
from wattline.task import Constants, Series

UNITS = ("node-01", "node-02")
SCALE = np.array([[1, 10, 100], [2, 20, 200]], dtype=np.float32)
CONSTANTS = Constants(
    units=UNITS,
    center=np.zeros((2, 3), np.float32),
    scale=SCALE,
    pooled_center=np.zeros(3, np.float32),
    pooled_scale=np.ones(3, np.float32),
)


def rows(unit: str = "node-01") -> Series:
    """Complete rows, so that whatever is missing was removed."""
    found = series(20_000, unit=unit, history=100)
    np.nan_to_num(found.values, copy=False)
    return found


def disturbed(series: Series, *, noise: float = 0.1, missing: float = 0.05, seed: int = 7) -> dict[str, np.ndarray]:
    """Values that a predictor sees under each perturbation."""
    seen: list[np.ndarray] = []

    def answer(shown: Series):
        assert (shown.unit, shown.group, shown.history) == (series.unit, series.group, series.history)
        np.testing.assert_array_equal(shown.target, series.target)
        np.testing.assert_array_equal(shown.timestamps, series.timestamps)
        seen.append(shown.values)
        return {"score": np.zeros(len(shown))}

    knobs = EvaluateParams(resamples=100, noise=noise, missing=missing)
    predictors = perturbations(answer, CONSTANTS, knobs, seed=seed)
    for predictor in predictors.values():
        assert len(predictor(series)["score"]) == len(series)
    return dict(zip(predictors, seen, strict=True))


def test_the_names_say_how_large_they_are():
    assert list(disturbed(rows(), noise=0.25, missing=0.005)) == [
        "noise of 0.25 standard deviations",
        "0.5% of values missing",
    ]


def test_the_same_seed_disturbs_in_the_same_way_and_another_does_not():
    for once, again, other in zip(
        disturbed(rows()).values(), disturbed(rows()).values(), disturbed(rows(), seed=8).values(), strict=True
    ):
        np.testing.assert_array_equal(once, again)
        assert not np.array_equal(once, other, equal_nan=True)


def test_each_unit_has_a_disturbance_of_its_own():
    one, other = (disturbed(rows(unit))["5% of values missing"] for unit in UNITS)
    assert not np.array_equal(np.isnan(one), np.isnan(other))


def test_the_disturbance_of_a_unit_does_not_depend_on_which_were_asked_before():
    knobs = EvaluateParams(resamples=100, noise=0.1, missing=0.05)
    seen = []
    predictors = perturbations(lambda shown: seen.append(shown.values) or {}, CONSTANTS, knobs, seed=7)
    noisy = next(iter(predictors.values()))
    for unit in ("node-01", "node-02", "node-01"):
        noisy(rows(unit))
    np.testing.assert_array_equal(seen[0], seen[2])


@pytest.mark.parametrize("unit", UNITS)
def test_noise_is_in_standard_deviations_of_the_units_columns(unit):
    before = rows(unit)
    noise = disturbed(before, noise=0.1)["noise of 0.1 standard deviations"] - before.values
    np.testing.assert_allclose(noise.std(axis=0), 0.1 * SCALE[UNITS.index(unit)], rtol=0.05)
    assert noise.dtype == np.float32


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.5, 1.0])
def test_the_share_of_missing_values_is_as_it_says(missing):
    seen = disturbed(rows(), missing=missing)
    lost = np.isnan(seen[f"{100 * missing:g}% of values missing"])
    assert lost.mean() == pytest.approx(missing, abs=0.01)
    assert lost.mean(axis=0) == pytest.approx([missing] * 3, abs=0.01)


def test_what_was_missing_stays_missing_and_the_rows_are_not_touched():
    before = series(500, unit="node-01")
    copy = before.values.copy()
    for values in disturbed(before).values():
        assert np.isnan(values[np.isnan(copy)]).all()
    np.testing.assert_array_equal(before.values, copy)
