"""moments: location and spread of columns, usable whatever a column holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.moments import Moments
from wattline.task import Constants, Series


def rows(unit: str, values) -> Series:
    array = np.asarray(values, dtype=np.float32)
    timestamps = np.datetime64("2026-01-01", "ns") + np.arange(len(array)) * np.timedelta64(60, "s")
    return Series(unit, "r0", timestamps, array, np.zeros(len(array)))


def fitted(*units) -> Constants:
    moments = Moments()
    for index, values in enumerate(units):
        moments.add(rows(f"n{index}", values))
    return moments.constants()


def test_location_is_the_median_and_spread_the_standard_deviation():
    values = [[1, 10], [2, 20], [9, 60]]
    found = fitted(values)
    np.testing.assert_array_equal(found.center, [[2, 20]])
    np.testing.assert_allclose(found.scale, [np.std(values, axis=0)], rtol=1e-6)
    assert found.units == ("n0",)
    assert {found.center.dtype, found.scale.dtype, found.pooled_center.dtype, found.pooled_scale.dtype} == {
        np.dtype(np.float32)
    }


def test_missing_values_do_not_count():
    found = fitted([[1], [np.nan], [3], [np.nan], [2]])
    assert found.center == [[2]]
    np.testing.assert_allclose(found.scale, np.std([[1, 3, 2]]), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, 1e-12])
def test_a_constant_column_has_a_scale_of_one(value):
    found = fitted(np.full((1001, 1), value))
    assert found.scale == [[1]]
    assert found.pooled_scale == [1]
    np.testing.assert_allclose(found.center, [[value]], rtol=1e-6)


def test_a_column_that_nobody_recorded_is_zero_with_a_scale_of_one():
    found = fitted([[np.nan, 1], [np.nan, 2]], [[np.nan, 3], [np.nan, 5]])
    assert (found.center[:, 0] == 0).all()
    assert (found.scale[:, 0] == 1).all()
    assert (found.pooled_center[0], found.pooled_scale[0]) == (0, 1)


def test_a_unit_that_never_recorded_a_column_has_the_figures_of_the_others():
    recorded = [[1.0], [2.0], [6.0]]
    found = fitted(recorded, [[np.nan]] * 3)
    np.testing.assert_allclose(found.center, [[2], [2]])
    np.testing.assert_allclose(found.scale, np.full((2, 1), np.std(recorded)), rtol=1e-6)
    np.testing.assert_allclose(found.pooled_scale, [np.std(recorded)], rtol=1e-6)


def test_pooled_figures_are_the_median_unit_and_the_spread_within_and_between_units():
    units = [[[0.0], [2.0]], [[10.0], [12.0]], [[50.0], [52.0]]]
    found = fitted(*units)
    assert found.pooled_center == [11]
    np.testing.assert_allclose(found.pooled_scale, [np.sqrt(1 + np.var([1, 11, 51]))], rtol=1e-6)


def test_a_unit_is_told_with_its_last_instant():
    moments = Moments()
    moments.add(rows("n0", [[1.0], [2.0]]))
    assert moments.last_seen == {"n0": np.datetime64("2026-01-01T00:01", "ns")}


def test_the_rows_are_not_touched():
    values = np.array([[np.nan, 1], [np.nan, 2]], dtype=np.float32)
    fitted(values)
    assert np.isnan(values[:, 0]).all()


floats = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@given(st.lists(st.lists(st.tuples(floats, floats), min_size=1, max_size=8), min_size=1, max_size=4))
def test_whatever_was_recorded_values_can_be_standardised(units):
    found = fitted(*units)
    for figures in (found.center, found.scale, found.pooled_center, found.pooled_scale):
        assert np.isfinite(figures).all()
    assert (found.scale > 0).all()
    assert (found.pooled_scale > 0).all()
