"""windows: what pandas says of the same samples, the same bits however they are taken, and nothing from the future."""

from itertools import pairwise

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline import windows
from wattline.errors import InputError
from wattline.records import Column
from wattline.task import Series

MINUTE = 60 * 10**9
START = 1_767_225_600 * 10**9  # 2026-01-01
ALL = windows.LABELS


def sampled(seconds, values, *, unit: str = "n0") -> Series:
    """One row at each instant [s after START]."""
    timestamps = (START + np.round(np.asarray(seconds) * 1e9).astype(np.int64)).astype("datetime64[ns]")
    rows = np.asarray(values, dtype=np.float32).reshape(len(timestamps), -1)
    return Series(unit, "rack", timestamps, rows, np.full(len(timestamps), np.nan))


@st.composite
def irregular(draw) -> Series:
    """Samples of two columns some 20 s apart, with holes, on a large offset."""
    count = draw(st.integers(2, 60))
    distances = draw(st.lists(st.floats(0.001, 90), min_size=count, max_size=count))
    offset = draw(st.sampled_from([0.0, 500.0, 1e6]))
    values = draw(
        st.lists(st.one_of(st.floats(-50, 50, width=32), st.just(float("nan"))), min_size=2 * count, max_size=2 * count)
    )
    return sampled(np.cumsum(distances), np.asarray(values).reshape(count, 2) + offset)


@settings(max_examples=80, deadline=None)
@given(irregular(), st.sampled_from([20.0, 60.0, 300.0]))
def test_windows_are_those_of_pandas_to_a_billionth(series: Series, seconds: float):
    window = round(seconds * 1e9)
    instants = series.timestamps.astype(np.int64)
    first = int(instants[0]) // window * window
    count = int((instants[-1] - first) // window) + 1
    found = windows.aggregate(instants, series.values, first=first, window=window, count=count)
    frame = pandas.DataFrame(series.values.astype(np.float64), index=pandas.to_datetime(instants))
    wanted = frame.resample(pandas.Timedelta(window, "ns"), origin="epoch")
    for name, reference in {
        "mean": wanted.mean(),
        "std": wanted.std(ddof=0),
        "minimum": wanted.min(),
        "maximum": wanted.max(),
        "samples": wanted.count(),
    }.items():
        np.testing.assert_allclose(getattr(found, name), reference.to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=50, deadline=None)
@given(irregular(), st.integers(1, 40))
def test_no_sample_at_the_instant_of_a_row_or_later_reaches_it(series: Series, cut: int):
    rows = windows.windowed(series, seconds=60.0, statistics=ALL)
    begin = min(cut, len(series) - 1)
    changed = series.values.copy()
    changed[begin:] = 1e6
    other = windows.windowed(
        Series("n0", "rack", series.timestamps, changed, series.target), seconds=60.0, statistics=ALL
    )
    before = rows.timestamps <= series.timestamps[begin]
    np.testing.assert_array_equal(rows.values[before], other.values[before])
    assert before.sum() < len(rows)


@settings(max_examples=40, deadline=None)
@given(irregular(), st.lists(st.integers(1, 59), max_size=6))
def test_pieces_give_the_bits_of_the_whole_wherever_they_are_cut(series: Series, cuts: list[int]):
    whole = windows.windowed(series, seconds=60.0, statistics=ALL)
    edges = [0, *sorted({cut for cut in cuts if cut < len(series)}), len(series)]
    pieces = (
        Series("n0", "rack", series.timestamps[begin:end], series.values[begin:end], series.target[begin:end])
        for begin, end in pairwise(edges)
    )
    found = windows.windowed_pieces(pieces, seconds=60.0, statistics=ALL)
    for name in ("timestamps", "values", "target"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_a_sample_at_the_edge_belongs_to_the_window_that_begins_there():
    rows = windows.windowed(sampled([0, 59.999999999, 60], [1, 2, 4]), seconds=60.0, statistics=("avg", "count"))
    np.testing.assert_array_equal(rows.values, [[1.5, 2], [4, 1]])
    assert rows.timestamps.astype(np.int64).tolist() == [START + MINUTE, START + 2 * MINUTE]


def test_all_units_have_the_same_instants_whenever_they_begin_and_whatever_is_missing():
    whole = windows.windowed(sampled(np.arange(0, 600, 20), np.arange(30)), seconds=60.0, statistics=("avg",))
    late = windows.windowed(
        sampled(np.delete(np.arange(67, 600, 20), 5), np.arange(26)), seconds=60.0, statistics=("avg",)
    )
    assert set(late.timestamps) < set(whole.timestamps)
    assert late.timestamps[-1] == whole.timestamps[-1]


def test_a_column_without_samples_in_a_window_has_none_and_a_window_without_any_is_no_row():
    rows = windows.windowed(sampled([0, 130], [[1, np.nan], [2, 3]]), seconds=60.0, statistics=ALL)
    np.testing.assert_array_equal(rows.values[0], [1, 0, 1, 1, 1, np.nan, np.nan, np.nan, np.nan, 0])
    assert np.isnan(rows.values[1]).all()
    np.testing.assert_array_equal(rows.values[2], [2, 0, 2, 2, 1, 3, 0, 3, 3, 1])


def test_one_anomalous_sample_makes_an_anomalous_window_and_none_known_an_unknown_one():
    series = sampled([0, 20, 60, 130], [1, 1, 1, 1])
    labelled = Series("n0", "rack", series.timestamps, series.values, np.array([0, 1, 0, np.nan]))
    rows = windows.windowed(labelled, seconds=60.0, statistics=("avg",))
    np.testing.assert_array_equal(rows.target, [1, 0, np.nan])


def test_columns_are_named_after_what_they_say_and_a_count_has_no_unit():
    found = windows.columns_of([Column(name="power", unit="W"), Column(name="inlet", unit="degC")], ("avg", "count"))
    assert [(column.name, column.unit) for column in found] == [
        ("power_avg", "W"),
        ("power_count", "1"),
        ("inlet_avg", "degC"),
        ("inlet_count", "1"),
    ]


def test_windows_that_would_nearly_all_be_empty_are_refused():
    with pytest.raises(InputError, match=r"10 rows lie in 901 windows of 1 s; raise prepare\.windows\.seconds"):
        windows.windowed(sampled(np.arange(10) * 100.0, np.arange(10)), seconds=1.0, statistics=ALL)
