"""What the library is asked of columns with missing values: the same as of each column by hand, in whatever groups."""

import math

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.quality import expectations
from wattline.quality.quiet import quiet
from wattline.task import Expectation

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan])
COLUMNS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12)
RULES = {
    "expect_column_values_to_be_between": ({"min_value": 1, "max_value": 2}, lambda value: 1 <= value <= 2),
    "expect_column_values_to_be_in_set": ({"value_set": [0, 1]}, lambda value: value in (0, 1)),
    "expect_column_values_to_not_be_in_set": ({"value_set": [3]}, lambda value: value != 3),
}


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    with quiet():
        import great_expectations  # noqa: F401


@settings(max_examples=25, deadline=None)
@given(COLUMNS)
def test_rules_about_single_values_pass_over_missing_ones(rows: list[tuple[float, ...]]):
    table = pandas.DataFrame(rows, columns=["a", "b", "c"], dtype=np.float64)
    asked = [
        Expectation(rule=rule, arguments={"column": name} | given)
        for rule, (given, _) in RULES.items()
        for name in table
    ]
    for outcome in expectations.evaluate(table, asked, first_rows=None):
        meets = RULES[outcome.expectation.rule][1]
        values = table[outcome.columns[0]].tolist()
        unmet = [place for place, value in enumerate(values) if not math.isnan(value) and not meets(value)]
        assert (outcome.passed, outcome.count, list(outcome.rows)) == (not unmet, len(unmet), unmet)


def test_a_column_without_any_value_meets_them_and_not_that_it_has_some():
    table = pandas.DataFrame({"a": [math.nan] * 4, "b": [1.0, math.nan, 5.0, 1.0]})
    between = {"min_value": 0, "max_value": 2}
    asked = [
        Expectation(rule="expect_column_values_to_be_between", arguments={"column": "a"} | between),
        Expectation(rule="expect_column_values_to_be_between", arguments={"column": "b"} | between),
        Expectation(rule="expect_column_values_to_be_between", arguments={"column": "b", "mostly": 0.5} | between),
        Expectation(rule="expect_column_values_to_not_be_null", arguments={"column": "b"}),
        Expectation(rule="expect_column_values_to_not_be_null", arguments={"column": "a"}),
    ]
    found = expectations.evaluate(table, asked, first_rows=2)
    assert [one.passed for one in found] == [True, False, True, False, False]
    assert [one.count for one in found] == [0, 1, 0, 1, 4]
    assert [one.rows for one in found] == [(), (2,), (), (1,), (0, 1)]
