"""Where the power of a node stands among the columns, and what a column's working sensor can show."""

from collections.abc import Iterator, Sequence

from wattline.records import Column
from wattline.task import Expectation

POWER = 0
POWER_NAME = "total_power_mean"

PLAUSIBLE = {
    "W": (0.0, 5_000.0),
    "degC": (-40.0, 130.0),
    "%": (0.0, 100.0),
}
"""Unit -> lowest and highest value that a working sensor of a compute node can show."""


def check_columns(columns: Sequence[Column]) -> None:
    """Raise ValueError unless the power to be forecast is the first column: a target is computed without names."""
    first = columns[POWER]
    if (first.name, first.unit) != (POWER_NAME, "W"):
        raise ValueError(
            f"node_power forecasts the first column, which must be {POWER_NAME} [W], got {first.name} [{first.unit}]; "
            "put it first where rows are ingested"
        )


def plausible(columns: Sequence[Column]) -> Iterator[Expectation]:
    """Physical limits by unit, for the columns that have any."""
    for column in columns:
        low, high = PLAUSIBLE.get(column.unit, (None, None))
        if low is not None:
            yield Expectation(
                rule="expect_column_values_to_be_between",
                arguments={"column": column.name, "min_value": low, "max_value": high},
            )


MISTAKEN = {"W": ((0.001, 0.0), (1000.0, 0.0)), "degC": ((1.8, 32.0), (1.0, 273.15))}
"""Unit -> (factor, offset) of what is written in its place: kW and mW, degrees Fahrenheit and kelvin."""

BLOCK_DAYS = 30


def alike(columns: Sequence[Column]) -> Iterator[Expectation]:
    """All nodes are in the same units of measure, and none has the days of another."""
    yield Expectation(rule="wattline_copied_unit", arguments={})
    for column in columns:
        if column.unit in MISTAKEN:
            yield Expectation(
                rule="wattline_unit_of_measure",
                arguments={"column": column.name, "conversions": MISTAKEN[column.unit], "steps": BLOCK_DAYS},
            )


def ordered(columns: Sequence[Column]) -> Iterator[Expectation]:
    """A day's mean does not exceed its highest sample, wherever both are recorded."""
    names = {column.name for column in columns}
    for name in sorted(names):
        if name.endswith("_mean") and (highest := name.removesuffix("_mean") + "_max") in names:
            yield Expectation(
                rule="expect_column_pair_values_a_to_be_greater_than_b",
                arguments={
                    "column_A": highest,
                    "column_B": name,
                    "or_equal": True,
                    "ignore_row_if": "either_value_is_missing",
                },
                severity="warning",
            )
