"""What every dataset must satisfy, whatever its task asks for."""

from collections.abc import Iterator

from wattline.records import Dataset
from wattline.task import Expectation

MINIMUM_ROWS = 10
"""A unit with fewer rows cannot be cut into train, validation and test."""

MAXIMUM_MISSING_SHARE = 0.2

FUTURE_SECONDS = 300
"""By how much the clocks of nodes may be ahead of the one of who validates [s]."""


def rules_for_rows(dataset: Dataset) -> tuple[Expectation, ...]:
    """Expectations on the table `rows` of wattline.quality.tables."""
    return (*_timestamps(), *_labels(dataset), *_columns(dataset))


def rules_for_units() -> tuple[Expectation, ...]:
    """Expectations on the table `units` of wattline.quality.tables."""
    return (
        Expectation(
            rule="expect_column_values_to_be_between",
            arguments={
                "column": "rows",
                "min_value": MINIMUM_ROWS,
                "description": f"every unit must have at least {MINIMUM_ROWS} rows",
            },
        ),
        Expectation(
            rule="expect_column_pair_values_to_be_equal",
            arguments={
                "column_A": "rows",
                "column_B": "recorded_rows",
                "description": "every unit must have as many rows as were ingested",
            },
        ),
        Expectation(
            rule="expect_column_values_to_be_between",
            arguments={
                "column": "missing_share",
                "max_value": MAXIMUM_MISSING_SHARE,
                "description": f"at most {MAXIMUM_MISSING_SHARE:.0%} of a unit's steps may lack a row with values",
            },
            severity="warning",
        ),
    )


def _timestamps() -> Iterator[Expectation]:
    yield Expectation(
        rule="expect_column_values_to_not_be_null",
        arguments={"column": "timestamp", "description": "every row must have a timestamp"},
    )
    yield Expectation(
        rule="expect_column_values_to_be_between",
        arguments={
            "column": "step_seconds",
            "min_value": 0,
            "strict_min": True,
            "description": "timestamps must increase from row to row of a unit, so that none comes twice",
        },
    )

    yield Expectation(rule="wattline_future", arguments={"seconds": FUTURE_SECONDS})


def _labels(dataset: Dataset) -> Iterator[Expectation]:
    if dataset.labelled:
        yield Expectation(
            rule="expect_column_values_to_be_in_set",
            arguments={
                "column": "target",
                "value_set": [0, 1],
                "description": "labels must be 0 (normal), 1 (anomalous) or missing",
            },
        )
    else:
        yield Expectation(
            rule="expect_column_values_to_be_null",
            arguments={"column": "target", "description": "a dataset without labels must not carry any"},
        )


def _columns(dataset: Dataset) -> Iterator[Expectation]:
    for column in dataset.columns:
        arguments = {"column": column.name}
        yield Expectation(rule="wattline_finite", arguments=arguments)
        yield Expectation(rule="wattline_varies", arguments=arguments, severity="warning")
