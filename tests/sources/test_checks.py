"""Rows of any source: what cannot be used is refused with the unit, the column and the first offending value."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from wattline.errors import InputError
from wattline.records import Column
from wattline.sources import UnitSeries
from wattline.sources.checks import check_columns, check_new, check_unit
from wattline.task import Series

COLUMNS = ("power", "inlet", "load")


def unit(name: str = "node-1", rows: int = 10, columns: tuple[str, ...] = COLUMNS) -> UnitSeries:
    timestamps = np.datetime64("2026-01-05", "ns") + np.arange(rows) * np.timedelta64(60, "s")
    values = np.zeros((rows, len(columns)), dtype=np.float32)
    return UnitSeries(Series(name, "rack-1", timestamps, values, np.full(rows, np.nan)), columns)


def check(found: UnitSeries, *, labelled: bool = False, seen: set[str] | None = None) -> None:
    check_unit(found, expected=COLUMNS, labelled=labelled)
    check_new(found.series.unit, set() if seen is None else seen)


def refusal(found: UnitSeries, *, labelled: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        check(found, labelled=labelled)
    return str(caught.value)


def test_sound_rows_pass_with_missing_samples_and_labels():
    sound = unit()
    sound.series.values[3:5] = np.nan
    sound.series.target[5:] = 1
    check(replace(sound, test_start=datetime(2026, 1, 5, 0, 5, tzinfo=UTC)), labelled=True)


def test_a_timestamp_that_comes_twice_is_named():
    wrong = unit()
    wrong.series.timestamps[4] = wrong.series.timestamps[3]
    assert "node-1: timestamp 2026-01-05T00:03:00.000000000Z comes twice; keep one" in refusal(wrong)


def test_rows_out_of_order_are_named_with_both_timestamps():
    wrong = unit()
    wrong.series.timestamps[[4, 5]] = wrong.series.timestamps[[5, 4]]
    assert "00:04:00.000000000Z follows 2026-01-05T00:05:00.000000000Z; sort" in refusal(wrong)


def test_a_row_without_a_timestamp_is_named():
    wrong = unit()
    wrong.series.timestamps[9] = np.datetime64("NaT")
    assert "row 9 has no timestamp" in refusal(wrong)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_named_with_its_column_and_time(value):
    wrong = unit()
    wrong.series.values[6, 1] = value
    message = refusal(wrong)
    assert f"'inlet' is {value} at 2026-01-05T00:06:00.000000000Z (1 such values); write NaN" in message


@pytest.mark.parametrize("name", ["timestamp", "target"])
def test_a_reserved_column_name_is_refused(name):
    with pytest.raises(InputError, match=f"column '{name}' has a reserved name; rename it"):
        check_columns((Column(name="power", unit="W"), Column(name=name, unit="1")))


def test_a_column_declared_twice_and_none_at_all_are_refused():
    with pytest.raises(InputError, match="'power' is declared 2 times"):
        check_columns((Column(name="power", unit="W"), Column(name="power", unit="W")))
    with pytest.raises(InputError, match="no column of values"):
        check_columns(())


def test_missing_extra_and_reordered_columns_are_named():
    assert "node-1 lacks load; every unit needs" in refusal(unit(columns=("power", "inlet")))
    assert "node-1 has unknown fan; every unit" in refusal(unit(columns=(*COLUMNS, "fan")))
    assert "lacks load and has unknown load_one" in refusal(unit(columns=("power", "inlet", "load_one")))
    assert "'inlet' where 'power' belongs; reorder them to power, inlet, load" in refusal(
        unit(columns=("inlet", "power", "load"))
    )


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "node 1", "nöde", "node\n"])
def test_a_unit_name_that_cannot_be_a_file_name_is_refused(name):
    assert "cannot be a file name; use letters" in refusal(unit(name))


def test_two_units_of_one_name_are_refused_even_in_another_case():
    seen: set[str] = set()
    check(unit("node-1"), seen=seen)
    with pytest.raises(InputError, match="'NODE-1' comes twice"):
        check(unit("NODE-1"), seen=seen)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_refused(rows):
    assert f"node-1 has {rows} rows, at least 2" in refusal(unit(rows=rows))


def test_arrays_of_another_type_or_shape_are_refused():
    sound = unit()
    wide = replace(sound, series=replace(sound.series, values=sound.series.values.astype(np.float64)))
    assert "values must be float32 of shape (10, 3), got float64" in refusal(wide)
    short = replace(sound, series=replace(sound.series, target=np.zeros(9)))
    assert "target must have shape (10,), got (9,)" in refusal(short)
    coarse = replace(sound, series=replace(sound.series, timestamps=sound.series.timestamps.astype("datetime64[s]")))
    assert "must be datetime64[ns] in UTC, got datetime64[s]" in refusal(coarse)


def test_a_label_other_than_0_and_1_is_named():
    wrong = unit()
    wrong.series.target[2] = 2
    assert "label 2 at 2026-01-05T00:02:00.000000000Z is neither 0" in refusal(wrong, labelled=True)


def test_labels_of_a_source_that_says_it_has_none_are_refused():
    wrong = unit()
    wrong.series.target[:] = 0
    assert "carries labels" in refusal(wrong)


def test_a_test_part_that_is_empty_or_everything_is_refused():
    for minute in (0, 10):
        wrong = replace(unit(), test_start=datetime(2026, 1, 5, 0, minute, tzinfo=UTC))
        assert "is not between its first row" in refusal(wrong)
    naive = replace(unit(), test_start=datetime(2026, 1, 5, 0, 5))  # noqa: DTZ001
    assert "has no time zone; give it in UTC" in refusal(naive)
