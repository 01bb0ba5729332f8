"""Real nodes: two half-years that differ are told apart, and halves of one half-year are not.

Marconi100 by node and day. Its mean node power went from 530 W to 670 W between the two spans.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from pyarrow import compute, parquet

from wattline.drift.columns import drift, judged
from wattline.drift.records import Drift
from wattline.drift.rows import Rows, of_units
from wattline.drift.two_sample import compare
from wattline.params.monitoring import DriftParams

COLUMNS = ("total_power_mean", "ambient_mean", "p0_power_mean", "p1_power_mean")
POWER = ("total_power_mean",)
FIRST, SECOND = ("2020-05-01", "2020-11-01"), ("2021-12-01", "2022-06-01")
PARAMS = DriftParams(risk=0.05, splits=200, minimum_rows=200, minimum_scores=200, maximum_share=0.1)
HALVES = 200
MIRROR = os.environ.get("WATTLINE_DATA_MIRROR", "")
FILE = Path(MIRROR) / "m100" / "node_day.parquet"


@pytest.fixture(autouse=True)
def mirror() -> None:
    """Without the real rows: skipped by name, and a failure in CI."""
    if not MIRROR or not FILE.is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("WATTLINE_DATA_MIRROR has no m100/node_day.parquet")


@functools.cache
def rows(span: tuple[str, str], columns: tuple[str, ...]) -> Rows:
    """Rows of every node from the first day on and before the second."""
    table = parquet.read_table(FILE, columns=["node", "day", *columns])
    start, end = (np.datetime64(day, "ms") for day in span)
    inside = compute.and_(compute.greater_equal(table["day"], start), compute.less(table["day"], end))
    table = table.filter(compute.and_(inside, compute.less(table["node"], 980)))
    table = table.sort_by([("node", "ascending"), ("day", "ascending")])
    values = np.stack([table[name].to_numpy() for name in columns], axis=1).astype(np.float32)
    nodes, begins = np.unique(table["node"].to_numpy(), return_index=True)
    parts = np.split(values, begins[1:])
    return of_units(columns, {f"node-{node:04d}": part for node, part in zip(nodes, parts, strict=True)})


def held(reference: Rows, current: Rows, *, seed: int = 7, same_units: bool = True) -> Drift:
    units = dict.fromkeys(reference.names, "1")
    return drift(reference, current, PARAMS, units=units, minimum=200, seed=seed, same_units=same_units)


def test_two_half_years_that_differ_are_told_apart_in_power_and_in_heat():
    found = held(rows(FIRST, COLUMNS), rows(SECOND, COLUMNS))
    assert judged(found, PARAMS) == "alarm"
    assert found.drifted == COLUMNS
    assert all(column.distance > 1.5 * column.limit for column in found.columns)


def test_so_are_they_when_every_node_has_another_name():
    later = rows(SECOND, COLUMNS)
    renamed = Rows(later.names, {f"new-{unit}": values for unit, values in later.values.items()})
    assert held(rows(FIRST, COLUMNS), renamed, same_units=False).drifted == COLUMNS


def test_random_halves_of_the_nodes_raise_an_alarm_in_at_most_one_of_twenty():
    whole, generator = rows(FIRST, POWER), np.random.default_rng(1)
    units, alarms, textbook = list(whole.values), 0, 0
    for seed in range(HALVES):
        order = generator.permutation(len(units))
        first, second = (whole.of([units[place] for place in half]) for half in np.array_split(order, 2))
        found = compare(first, second, splits=PARAMS.splits, risk=PARAMS.risk, seed=seed, same_units=False)
        alarms += bool(found.distances[0] > found.limits[0])
        textbook += bool(found.distances[0] > 1.36 * np.sqrt(1 / len(first) + 1 / len(second)))
    print(f"alarms in {alarms / HALVES:.1%} of {HALVES} halves; a table for independent rows: {textbook / HALVES:.1%}")
    assert alarms <= 0.05 * HALVES
    assert textbook > 0.5 * HALVES, "these halves are no test of anything"


def test_random_weeks_raise_an_alarm_in_at_most_one_of_twenty_too():
    """Days of one week are much alike, so weeks are drawn and not days; every node is in both halves."""
    whole, generator, alarms = rows(FIRST, POWER), np.random.default_rng(2), 0
    few = {unit: values for unit, values in list(whole.values.items())[::10] if len(values) > 150}
    for seed in range(40):
        weeks = generator.permutation(27) % 2 == 0
        first, second = (
            of_units(POWER, {unit: values[weeks[np.arange(len(values)) // 7] == half] for unit, values in few.items()})
            for half in (True, False)
        )
        alarms += bool(held(first, second, seed=seed).drifted)
    assert alarms <= 2
