"""Numbers that count from 1970, and values of JSON: what is exact, and what is not taken and counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from wattline.errors import InputError
from wattline.sources.epochs import nanoseconds
from wattline.sources.readings import numbers

NOW = 1_700_000_000.0
GOOD = 1_650_000_000


@hypothesis_settings(max_examples=50)
@given(milliseconds=st.integers(946_684_800_000, 1_700_000_060_000))
def test_whole_numbers_and_their_decimals_are_exact(milliseconds: int):
    (whole,) = nanoseconds([milliseconds], unit="ms", where="x", now=NOW).instants
    (decimal,) = nanoseconds([milliseconds / 1000], unit="s", where="x", now=NOW).instants
    assert int(whole) == int(decimal) == milliseconds * 1_000_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (GOOD * 1000, "milliseconds where seconds belong"),
        (NOW + 61, "in the future"),
        (946_684_799, "before 2000"),
        (-1, "before 2000"),
        (float("nan"), "the instant is not finite"),
        (float("-inf"), "the instant is not finite"),
        (1e300, "in the future"),
    ],
)
def test_an_instant_that_cannot_be_true_is_counted(value: float, reason: str):
    found = nanoseconds([GOOD, value, NOW + 60], unit="s", where="x", now=NOW)
    assert found.taken.tolist() == [True, False, True]
    assert found.refused == {reason: 1}
    assert found.instants.tolist() == [GOOD * 10**9, (int(NOW) + 60) * 10**9]


def test_seconds_where_milliseconds_belong_are_counted():
    found = nanoseconds([GOOD * 1000, GOOD], unit="ms", where="x", now=NOW)
    assert found.refused == {"seconds where milliseconds belong": 1}


@pytest.mark.parametrize(("unit", "factor"), [("s", 1000), ("ms", 1)])
def test_all_of_the_wrong_unit_are_an_error_that_says_so(unit: str, factor: int):
    with pytest.raises(InputError, match=r"node 7: all 2 instants are .* where .* belong; correct"):
        nanoseconds([GOOD * factor, GOOD * factor + 1], unit=unit, where="node 7", now=NOW)


@pytest.mark.parametrize("values", [["a"], [None], [True], [[1]], [1, [2]], [10**30]])
def test_what_is_no_number_is_an_error_that_names_the_place(values: list[object]):
    with pytest.raises(InputError, match="node 7"):
        nanoseconds(values, unit="s", where="node 7", now=NOW)


def test_nothing_is_nothing():
    found = nanoseconds([], unit="s", where="x", now=NOW)
    assert (len(found.instants), len(found.taken), found.refused) == (0, 0, {})
    assert numbers([]).values.tolist() == []


def test_values_are_what_json_calls_numbers():
    read = numbers([1, 2.5, "3", None, True, float("inf"), float("nan"), 1e39, 10**400, -7, [1], {}])
    assert read.taken.tolist() == [True, True, *[False] * 7, True, False, False]
    assert read.values[read.taken].tolist() == [1, 2.5, -7]
    assert np.isnan(read.values[~read.taken]).all()
    assert read.refused == {
        "the value is no number": 5,
        "the value is not finite": 3,
        "the value does not fit in 32 bits": 1,
    }
