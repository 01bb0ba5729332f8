"""Validation of a million rows of 40 columns by 60 expectations of a task, on one core, after imports.

The whole stage is timed: hashing and reading the files, what the platform itself demands of every column (which comes
on top of the 60), the page and the report. What Great Expectations needs of that is measured by handing it its 40 of
the 60 as the stage does; the rest is ours. As the peer, Great Expectations alone runs those 40, on a table that is in
memory already.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pyarrow
from clock import Figure, in_turns

from wattline import files, splits
from wattline.params import ValidateParams
from wattline.quality import expectations, tables
from wattline.quality.quiet import quiet
from wattline.records import Column, Dataset, UnitRows
from wattline.stages import validate
from wattline.task import Expectation, Series

UNITS, ROWS, CADENCE = 100, 10_000, 20
NAMES = tuple(f"m{number:02d}" for number in range(40))
START = datetime(2026, 1, 1, tzinfo=UTC)
TURNS = 3
LIMIT_SECONDS = 4.0


def figures() -> Iterator[Figure]:
    """Print seconds of both and the share that is ours, and give the whole, of rows without and with missing values."""
    for missing in (0.0, 0.001):
        with TemporaryDirectory(prefix="wattline-") as folder, chdir(folder), one_core():
            whole, theirs, bare = seconds(store(missing))
        told = f"{missing:.1%} of the values missing" if missing else "no value missing"
        print(f"      {told}: validate {whole:.2f} s, of it Great Expectations {theirs:.2f} s,", end=" ")
        print(f"ours {1 - theirs / whole:.0%} (reading, own rules, page);")
        print(f"      its 40 of the 60 by Great Expectations alone {bare:.2f} s")
        yield Figure(f"1M rows x 40 columns x 60 expectations, {told}", whole, LIMIT_SECONDS, "s")


def seconds(dataset: Dataset) -> tuple[float, float, float]:
    """Medians of the whole stage, of Great Expectations in it, and of Great Expectations alone, in turns."""
    asked = demands()
    task: Any = SimpleNamespace(expectations=lambda _: asked)
    alone = [one for one in asked if one.rule.startswith("expect_")]
    table = tables.read(dataset)[0]
    expectations.evaluate(table.head(100), alone, first_rows=3)  # imports
    calls: dict[str, Callable[[], object]] = {
        "whole": lambda: validate.run(validate=ValidateParams(first_rows=3), task=task),
        "theirs": lambda: expectations.evaluate(table, alone, first_rows=3),
        "bare": lambda: by_library(table[list(NAMES)], alone),
    }
    taken = in_turns(calls, rounds=TURNS)
    return median(taken["whole"]), median(taken["theirs"]), median(taken["bare"])


def by_library(table: pandas.DataFrame, asked: list[Expectation]) -> None:
    """As its documentation runs it: one batch, one suite."""
    with quiet():
        import great_expectations
        from great_expectations.expectations import registry

        context = great_expectations.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        suite = great_expectations.ExpectationSuite(name="rows")
        for one in asked:
            suite.add_expectation(registry.get_expectation_impl(one.rule)(**one.arguments))
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch(batch_parameters={"dataframe": table})
        if not batch.validate(suite, result_format="SUMMARY").success:
            raise SystemExit("benchmarks/data.py: rows were made to meet every expectation, and do not")


def demands() -> list[Expectation]:
    """60: a range for each column, and 20 rules across rows, columns and units."""
    ranges = [
        ("expect_column_values_to_be_between", {"column": name, "min_value": 0, "max_value": 5000}) for name in NAMES
    ]
    own: list[tuple[str, dict[str, Any]]] = [("wattline_unit_of_measure", {"column": name}) for name in NAMES[:7]]
    own += [("wattline_stuck", {"column": name}) for name in NAMES[:4]]
    own += [("wattline_dropout", {"column": name, "least": 50}) for name in NAMES[:4]]
    own += [("wattline_lag", {"column": NAMES[0]}), ("wattline_phase", {"seconds": 2}), ("wattline_gap", {})]
    own += [("wattline_copied_unit", {}), ("wattline_repeated_rows", {})]
    return [Expectation(rule=rule, arguments=arguments) for rule, arguments in (*ranges, *own)]


def store(missing: float) -> Dataset:
    """Rows of all units as `ingest` leaves them."""
    generator = np.random.default_rng(1)
    stamps = np.datetime64("2026-01-01", "ns") + np.arange(ROWS) * np.timedelta64(CADENCE, "s")
    units = []
    for number in range(UNITS):
        values = 500 + 50 * generator.standard_normal((ROWS, len(NAMES)), dtype=np.float32)
        values[generator.random(values.shape) < missing] = np.nan
        series = Series(f"n{number:03d}", "rack", stamps, values, np.full(ROWS, np.nan))
        end = START + timedelta(seconds=CADENCE * (ROWS - 1))
        digest = files.write_series(files.RAW, series, NAMES)
        units.append(UnitRows(name=series.unit, group="rack", rows=ROWS, start=START, end=end, sha256=digest))
    dataset = Dataset(
        name="rows", source="made", home="made", licence="CC0-1.0", citation="none", cadence_seconds=CADENCE,
        columns=tuple(Column(name=name, unit="W") for name in NAMES), units=tuple(units), labelled=False,
    )  # fmt: skip
    files.write_text(files.RAW / splits.DATASET, dataset.to_json())
    return dataset


@contextmanager
def one_core() -> Iterator[None]:
    cores, threads = os.sched_getaffinity(0), pyarrow.cpu_count()
    os.sched_setaffinity(0, {min(cores)})
    pyarrow.set_cpu_count(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        pyarrow.set_cpu_count(threads)
