"""intervals: a bootstrap over units that covers the truth about as often as it says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.intervals import bootstrap_mean, paired_difference

FIGURES = [0.1, 0.4, 0.5, 0.9, 0.2, 0.7]


def mean(values, *, resamples=500, seed=1):
    return bootstrap_mean(values, resamples=resamples, seed=seed)


def test_the_value_is_the_mean_and_lies_inside():
    found = mean(FIGURES)
    assert found.value == pytest.approx(np.mean(FIGURES))
    assert found.low < found.value < found.high
    assert found.units == 6


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    assert mean(FIGURES, seed=3) == mean(FIGURES, seed=3)
    assert mean(FIGURES, seed=3) != mean(FIGURES, seed=4)


def test_about_95_of_100_intervals_hold_the_truth():
    generator = np.random.default_rng(0)
    samples = generator.normal(1.0, 2.0, size=(400, 40))
    found = [mean(list(sample), resamples=300, seed=index) for index, sample in enumerate(samples)]
    covered = np.mean([score.low <= 1.0 <= score.high for score in found])
    # 0.94 is what percentile intervals of 40 values reach; 400 trials blur that by 0.012 (one standard deviation).
    assert 0.90 <= covered <= 0.98


def test_more_units_make_it_narrower():
    few, many = mean(FIGURES), mean(FIGURES * 10)
    assert many.high - many.low < few.high - few.low


def test_undefined_figures_are_left_out_and_not_counted():
    assert mean([*FIGURES[:3], math.nan, *FIGURES[3:], math.nan]) == mean(FIGURES)


def test_an_infinite_figure_does_not_swallow_the_others():
    assert mean([*FIGURES, math.inf]) == mean(FIGURES)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan] * 3])
def test_nothing_defined_is_undefined(values):
    found = mean(values)
    assert found.units == 0
    assert all(math.isnan(figure) for figure in (found.value, found.low, found.high))


def test_one_unit_has_an_interval_of_no_width():
    found = mean([0.3])
    assert (found.low, found.value, found.high, found.units) == (0.3, 0.3, 0.3, 1)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.integers(0, 10))
def test_an_interval_never_leaves_the_figures(values, seed):
    found = mean(values, resamples=100, seed=seed)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


class TestPairedDifference:
    def difference(self, left, right):
        return paired_difference(left, right, resamples=500, seed=1)

    def test_a_candidate_against_itself_differs_by_nothing(self):
        found = self.difference(FIGURES, FIGURES)
        assert (found.low, found.value, found.high) == (0, 0, 0)

    def test_what_varies_between_units_cancels(self):
        better = [value + 0.01 for value in FIGURES]
        found = self.difference(better, FIGURES)
        assert found.low == pytest.approx(0.01)
        assert found.high == pytest.approx(0.01)

    def test_the_sign_is_candidate_minus_champion(self):
        assert self.difference([1.0], [3.0]).value == -2

    def test_a_unit_that_one_side_leaves_undefined_is_left_out(self):
        found = self.difference([1.0, math.nan, 3.0], [0.0, 5.0, math.nan])
        assert (found.value, found.units) == (1.0, 1)

    @pytest.mark.parametrize("champion", [FIGURES[:-1], [*FIGURES, 0.1], []])
    def test_other_units_are_refused(self, champion):
        with pytest.raises(ValueError, match="zip"):
            self.difference(FIGURES, champion)
