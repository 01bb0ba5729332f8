"""grid: rows at regular instants with gaps as NaN, cut so that nothing later is in an earlier part."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline.errors import InputError
from wattline.grid import boundaries, cut, on_grid
from wattline.params import PrepareParams
from wattline.records import Column, Dataset, UnitRows
from wattline.task import Series

START = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = np.datetime64("2026-01-01T00:00:00", "ns")
CADENCE = 60.0


def at(seconds, *, values=None) -> Series:
    """One row at each instant [s after ORIGIN]; its value is its place in the list."""
    timestamps = ORIGIN + np.round(np.asarray(seconds) * 1e9).astype("timedelta64[ns]")
    column = np.arange(len(timestamps)) if values is None else np.asarray(values)
    rows = np.stack([column, column * 10.0], axis=1).astype(np.float32)
    return Series("n0", "r0", timestamps, rows, column.astype(np.float64) % 2)


def minutes(*places: float) -> Series:
    return at([60.0 * place for place in places])


class TestOnGrid:
    def test_rows_on_the_grid_stay_as_they_are(self):
        rows = minutes(0, 1, 2, 3)
        found = on_grid(rows, cadence_seconds=CADENCE)
        for name in ("timestamps", "values", "target"):
            np.testing.assert_array_equal(getattr(found, name), getattr(rows, name))
        assert (found.unit, found.group) == ("n0", "r0")

    def test_gaps_become_rows_of_nan(self):
        found = on_grid(minutes(0, 1, 4), cadence_seconds=CADENCE)
        assert len(found) == 5
        np.testing.assert_array_equal(np.isnan(found.values).all(axis=1), [False, False, True, True, False])
        np.testing.assert_array_equal(np.isnan(found.target), [False, False, True, True, False])
        assert set(np.diff(found.timestamps)) == {np.timedelta64(60, "s")}

    def test_of_two_rows_in_one_slot_the_later_one_stays(self):
        found = on_grid(at([0, 60, 70, 120]), cadence_seconds=CADENCE)
        np.testing.assert_array_equal(found.values[:, 0], [0, 2, 3])

    def test_rows_that_come_a_little_early_or_late_are_all_kept(self):
        late = np.tile([0.0, -0.7, 0.4, -0.1, 0.9], 20)
        found = on_grid(at(60 * np.arange(100) + late), cadence_seconds=CADENCE)
        np.testing.assert_array_equal(found.values[:, 0], np.arange(100))

    def test_a_cadence_that_is_not_whole_seconds_does_not_drift(self):
        found = on_grid(at(np.arange(10_000) * 0.1), cadence_seconds=0.1)
        np.testing.assert_array_equal(found.values[:, 0], np.arange(10_000))

    @pytest.mark.parametrize("cadence", [1.0, 3600.0], ids=["too short", "too long"])
    def test_a_wrong_cadence_is_refused(self, cadence):
        with pytest.raises(InputError, match=r"unit n0: 100 rows lie on .*cadence_seconds") as caught:
            on_grid(minutes(*range(100)), cadence_seconds=cadence)
        assert f"of {cadence:g} s" in str(caught.value)

    @given(st.sets(st.integers(0, 60), min_size=4, max_size=40), st.integers(0, 10**6))
    def test_whatever_is_missing_the_rest_is_where_it_was(self, places, first):
        ordered = sorted(places)
        rows = at([first + 60.0 * place for place in ordered])
        found = on_grid(rows, cadence_seconds=CADENCE)
        recorded = ~np.isnan(found.values).any(axis=1)
        np.testing.assert_array_equal(found.timestamps[recorded], rows.timestamps)
        np.testing.assert_array_equal(found.values[recorded], rows.values)
        assert len(found) == ordered[-1] - ordered[0] + 1

    @given(st.lists(st.floats(-0.49, 0.49), min_size=2, max_size=50))
    def test_no_jitter_below_half_a_step_loses_a_row(self, jitter):
        # The first row is the origin, so its own deviation adds to that of the others.
        seconds = 60 * (np.arange(len(jitter)) + np.asarray(jitter) / 2)
        found = on_grid(at(seconds), cadence_seconds=CADENCE)
        np.testing.assert_array_equal(found.values[:, 0], np.arange(len(jitter)))


def prepare(validation: float = 0.25, test: float = 0.4) -> PrepareParams:
    return PrepareParams(validation_fraction=validation, test_fraction=test, minimum_rows=1)


def unit(name: str, first: float, last: float, *, test_start: float | None = None) -> UnitRows:
    """A unit with rows from minute `first` to minute `last`."""
    start, end = (START + timedelta(minutes=place) for place in (first, last))
    instant = None if test_start is None else START + timedelta(minutes=test_start)
    return UnitRows(name=name, group="r0", rows=2, start=start, end=end, test_start=instant)


def dataset(*units: UnitRows) -> Dataset:
    return Dataset(
        name="d",
        source="s",
        home="h",
        licence="l",
        citation="c",
        cadence_seconds=CADENCE,
        columns=(Column(name="power", unit="W"),),
        units=units,
        labelled=True,
    )


def minute(instant: np.datetime64) -> float:
    return float((instant - ORIGIN) / np.timedelta64(1, "m"))


class TestBoundaries:
    def test_all_units_are_cut_at_the_same_instants(self):
        units = (unit("n0", 0, 60), unit("n1", 20, 100), unit("n2", 10, 30))
        instants = [boundaries(one, dataset(*units), prepare()) for one in units]
        assert all((one == instants[0]).all() for one in instants)
        assert [minute(instant) for instant in instants[0]] == pytest.approx([45, 60])

    def test_an_official_test_part_is_kept_and_test_fraction_is_not_used(self):
        one, other = unit("n0", 0, 100, test_start=80), unit("n1", 0, 100, test_start=40)
        both = dataset(one, other)
        assert [minute(instant) for instant in boundaries(one, both, prepare(test=0.9))] == pytest.approx([60, 80])
        assert [minute(instant) for instant in boundaries(other, both, prepare(test=0.1))] == pytest.approx([30, 40])

    @given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(4, 5000))
    def test_they_are_in_order_and_inside_the_span(self, validation, test, last):
        one = unit("n0", 0, last)
        first, second = boundaries(one, dataset(one), prepare(validation, test))
        assert ORIGIN <= first <= second <= ORIGIN + np.timedelta64(last, "m")


class TestCut:
    @given(st.integers(2, 300), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
    def test_nothing_is_lost_and_nothing_overlaps(self, rows, validation, test):
        one = unit("n0", 0, rows - 1)
        series = minutes(*range(rows))
        instants = boundaries(one, dataset(one), prepare(validation, test))
        parts = list(cut(series, instants))
        assert len(parts) == 3
        np.testing.assert_array_equal(np.concatenate([part.timestamps for part in parts]), series.timestamps)
        np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), series.values)
        np.testing.assert_array_equal(np.concatenate([part.target for part in parts]), series.target)
        for earlier, later, instant in zip(parts, parts[1:], instants, strict=False):
            assert not len(earlier) or earlier.timestamps[-1] < instant
            assert not len(later) or later.timestamps[0] >= instant

    def test_the_row_at_an_instant_is_in_the_later_part(self):
        instants = minutes(2, 4).timestamps
        assert [list(part.values[:, 0]) for part in cut(minutes(*range(6)), instants)] == [[0, 1], [2, 3], [4, 5]]

    def test_a_part_without_rows_is_empty(self):
        instants = minutes(10, 20).timestamps
        assert [len(part) for part in cut(minutes(*range(6)), instants)] == [6, 0, 0]
