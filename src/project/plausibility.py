"""What telemetry of compute nodes must satisfy before a model learns from it."""

from collections.abc import Iterator

from wattline.records import Column, Dataset
from wattline.task import Expectation

PLAUSIBLE = {
    "degC": (-40.0, 130.0),
    "W": (0.0, 5_000.0),
    "%": (0.0, 100.0),
    "rpm": (0.0, 40_000.0),
}
"""Unit -> lowest and highest value that a working sensor of a compute node can show."""

MISTAKEN = {"W": ((0.001, 0.0), (1000.0, 0.0)), "degC": ((1.8, 32.0), (1.0, 273.15))}
"""Unit -> (factor, offset) of what is written in its place: kW and mW, degrees Fahrenheit and kelvin."""

BLOCK_STEPS = {"W": 60, "degC": 720}
"""Rows by whose mean that is told. A part that overheats for hours looks like one in degrees Fahrenheit."""

NODE_WATTS = (5.0, 5_000.0)
"""Between what the median of the power of nodes lies, even where most are off: a fleet in kW is below it [W]."""

STUCK_STEPS = 240
"""Rows in which a sensor of coarse resolution may show one value while others move: 4 h at a row a minute."""

GAP_STEPS = 120
DROPOUT_WATTS = 50.0
"""A socket that idles may well show 0 [W]."""

COUNTER = "_total"
"""How names of counters end, by the conventions of OpenMetrics."""

INLET, POWER, LOAD = "ambient_degc", "total_power_watts", "load_one"
SOCKETS = ("p0_power_watts", "p1_power_watts")


def expectations(dataset: Dataset) -> list[Expectation]:
    """Critical is what would teach a model something false; a warning, what it can live with."""
    return [
        *_of_units(dataset),
        *(one for column in dataset.columns for one in _of_column(column)),
        *_of_pairs({column.name for column in dataset.columns}),
    ]


def _of_units(dataset: Dataset) -> Iterator[Expectation]:
    yield Expectation(rule="wattline_copied_unit", arguments={})
    yield _warning("wattline_repeated_rows")
    yield _warning("wattline_gap", steps=GAP_STEPS)
    yield _warning("wattline_phase", seconds=max(1.0, dataset.cadence_seconds / 10))


def _of_column(column: Column) -> Iterator[Expectation]:
    """By the unit of a column, and by its name where that says that it counts."""
    if column.unit in PLAUSIBLE:
        low, high = PLAUSIBLE[column.unit]
        arguments = {"column": column.name, "min_value": low, "max_value": high}
        yield Expectation(rule="expect_column_values_to_be_between", arguments=arguments)
    if column.unit in MISTAKEN:
        arguments = {"column": column.name, "conversions": MISTAKEN[column.unit], "steps": BLOCK_STEPS[column.unit]}
        yield Expectation(rule="wattline_unit_of_measure", arguments=arguments)
    if column.unit == "W":
        yield _warning("wattline_stuck", column=column.name, steps=STUCK_STEPS)
        yield _warning("wattline_dropout", column=column.name, least=DROPOUT_WATTS)
    if column.name.endswith(COUNTER):
        yield _warning("wattline_counter", column=column.name)


def _of_pairs(names: set[str]) -> Iterator[Expectation]:
    """What one column causes in another, what is a part of another, and what reaches all nodes at once."""
    if POWER in names:
        arguments = {"column": POWER, "min_value": NODE_WATTS[0], "max_value": NODE_WATTS[1]}
        yield Expectation(rule="expect_column_median_to_be_between", arguments=arguments)
    for socket in SOCKETS:
        if {socket, LOAD} <= names:
            yield Expectation(rule="wattline_explained", arguments={"column": socket, "by": LOAD})
    if {POWER, *SOCKETS} <= names:
        yield _warning("wattline_parts", whole=POWER, parts=SOCKETS)
    if INLET in names:
        yield _warning("wattline_lag", column=INLET)


def _warning(rule: str, **arguments: object) -> Expectation:
    return Expectation(rule=rule, arguments=arguments, severity="warning")
