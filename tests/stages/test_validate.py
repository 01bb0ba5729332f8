"""validate: rows that break a promise are named and refused, and the report is written either way."""

import re
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.params import ValidateParams
from wattline.records import Column, Dataset, UnitRows, Validation
from wattline.stages import validate
from wattline.task import Expectation, Series

ROWS = 50
START = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (Column(name="power", unit="W"), Column(name="load", unit="1"))
PAGE = Path("reports/validate/index.html")
BETWEEN = "expect_column_values_to_be_between"
CONSTANT = "wattline_varies"
FINITE = "wattline_finite"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def node(name: str, *, rows: int = ROWS, late: int = 0) -> Series:
    """A good unit. late: how many minutes after START it begins."""
    timestamps = np.datetime64("2026-03-01T00:00:00", "ns") + (np.arange(rows) + late) * np.timedelta64(60, "s")
    values = np.stack([np.linspace(300, 500, rows), np.linspace(0, 1, rows)], axis=1).astype(np.float32)
    return Series(name, "rack-1", timestamps, values, np.zeros(rows))


def store(*units: Series, columns: tuple[Column, ...] = COLUMNS, labelled: bool = True) -> Dataset:
    """Write raw rows and their record, as `ingest` does."""
    digests = [files.write_series(files.RAW, unit, [column.name for column in columns]) for unit in units]
    return record([(unit.unit, len(unit)) for unit in units], digests, columns=columns, labelled=labelled)


def record(
    sizes: Sequence[tuple[str, int]], digests: Sequence[str], *, columns: tuple[Column, ...] = COLUMNS, labelled: bool
) -> Dataset:
    dataset = Dataset(
        name="cluster",
        source="parquet",
        home="local files",
        licence="CC0",
        citation="none",
        cadence_seconds=60,
        columns=columns,
        units=tuple(
            UnitRows(
                name=name,
                group="rack-1",
                rows=max(rows, 1),
                start=START,
                end=START + timedelta(minutes=rows),
                sha256=digest,
            )
            for (name, rows), digest in zip(sizes, digests, strict=True)
        ),
        labelled=labelled,
    )
    files.write_text(files.RAW / "dataset.json", dataset.to_json())
    return dataset


def store_table(change: Callable[[pyarrow.Table], pyarrow.Table]) -> None:
    """Two units, of which the second has another layout; the record holds its true digest."""
    digests = [files.write_series(files.RAW, node(name), ["power", "load"]) for name in ("n1", "n2")]
    path = files.RAW / "n2.parquet"
    digests[1] = files.write_table(path, change(parquet.read_table(path)))
    record([("n1", ROWS), ("n2", ROWS)], digests, labelled=True)


def run(*expectations: Expectation, first_rows: int = 3) -> Validation:
    task: Any = SimpleNamespace(expectations=lambda dataset: expectations)
    validate.run(validate=ValidateParams(first_rows=first_rows), task=task)
    return report()


def report() -> Validation:
    return files.read_report("validate", Validation)


def refused(*expectations: Expectation, first_rows: int = 3) -> str:
    """The line that a refusal prints."""
    with pytest.raises(InputError) as caught:
        run(*expectations, first_rows=first_rows)
    message = str(caught.value)
    assert "\n" not in message
    return message


def expect(rule: str, severity: Any = "critical", **arguments: Any) -> Expectation:
    return Expectation(rule=rule, arguments=arguments, severity=severity)


def changed(series: Series, row: int, column: int, value: float) -> Series:
    values = series.values.copy()
    values[row, column] = value
    return replace(series, values=values)


def moved(series: Series, row: int, minutes: int) -> Series:
    timestamps = series.timestamps.copy()
    timestamps[row] += np.timedelta64(minutes, "m")
    return replace(series, timestamps=timestamps)


def test_good_rows_meet_every_expectation() -> None:
    dataset = store(node("n1"), node("n2"))
    found = run(expect(BETWEEN, column="power", min_value=0, max_value=1000))
    assert found.findings == ()
    assert (found.data, found.rows, found.units) == (dataset.id, 2 * ROWS, 2)
    # The layout, three about units, four about every row, two for each column, and the task's own.
    assert found.expectations == 1 + 3 + 4 + 2 * 2 + 1
    assert "Rows meet every expectation" in PAGE.read_text()


def test_a_changed_byte_is_an_integrity_error_that_names_the_file_and_the_remedy() -> None:
    store(node("n1"), node("n2"))
    path = files.RAW / "n2.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"data/raw/n2\.parquet .* `dvc repro --force ingest`"):
        run()


def test_a_missing_partition_is_an_integrity_error() -> None:
    store(node("n1"), node("n2"))
    (files.RAW / "n1.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"data/raw/n1\.parquet is missing"):
        run()


LAYOUTS: dict[str, tuple[Callable[[pyarrow.Table], pyarrow.Table], str]] = {
    "renamed": (
        lambda table: table.rename_columns(["timestamp", "watts", "load", "target"]),
        "lacks power and has unknown watts",
    ),
    "extra": (lambda table: table.append_column("fan", table["load"]), "has unknown fan"),
    "missing": (lambda table: table.drop_columns(["load"]), "lacks load"),
    "reordered": (
        lambda table: table.select(["timestamp", "load", "power", "target"]),
        "has load where power belongs",
    ),
    "repeated": (lambda table: table.append_column("load", table["load"]), "repeats load"),
    "text": (
        lambda table: table.set_column(2, "load", table["load"].cast("string")),
        "load is string instead of float",
    ),
    "local time": (
        lambda table: table.set_column(0, "timestamp", table["timestamp"].cast(pyarrow.timestamp("us"))),
        "timestamp is timestamp[us] instead of timestamp[us, tz=UTC]",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_that_are_not_those_of_the_dataset_are_named_with_their_unit(layout: str) -> None:
    change, difference = LAYOUTS[layout]
    store_table(change)
    assert f"n2: {difference}" in refused()
    (finding,) = report().findings
    assert finding.first_rows == (f"n2: {difference}",)
    assert (finding.severity, finding.count, finding.share) == ("critical", 1, 0.5)
    assert difference in PAGE.read_text()


def test_a_partition_that_is_no_parquet_is_named() -> None:
    files.write_text(files.RAW / "n1.parquet", "timestamp,power,load")
    record([("n1", ROWS)], [files.sha256(files.RAW / "n1.parquet")], labelled=True)
    assert "n1: is not a Parquet file" in refused()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_refused_with_its_unit_and_time(value: float) -> None:
    store(node("n1"), changed(node("n2"), 7, 1, value))
    assert f"column load: {FINITE} fails 1 times (1.000%), first n2 @ 2026-03-01T00:07:00Z: {value}" in refused()
    assert [finding.column for finding in report().failures("critical")] == ["load"]


def test_missing_values_are_allowed() -> None:
    store(changed(node("n1"), 3, 0, np.nan), node("n2"))
    assert run().findings == ()


@pytest.mark.parametrize("value", [4.0, np.nan])
def test_a_column_that_is_constant_or_missing_everywhere_is_a_warning(value: float) -> None:
    units = [node("n1"), node("n2")]
    for unit in units:
        unit.values[:, 1] = value
    store(*units)
    (finding,) = run().findings
    assert (finding.rule, finding.column, finding.severity) == (CONSTANT, "load", "warning")


def test_a_column_that_is_constant_in_one_unit_alone_is_no_finding() -> None:
    units = [node("n1"), node("n2")]
    units[0].values[:, 1] = 4.0
    store(*units)
    assert run().findings == ()


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_a_unit_with_too_few_rows_is_refused(rows: int) -> None:
    store(node("n1"), node("n2", rows=rows))
    assert f"column rows: {BETWEEN} fails 1 times (50.000%), first n2 @ " in refused()


def test_no_row_at_all_is_refused_like_too_few() -> None:
    store(node("n1", rows=0))
    assert "column rows" in refused()


def test_a_unit_without_the_rows_that_were_ingested_is_refused() -> None:
    digest = files.write_series(files.RAW, node("n1"), ["power", "load"])
    record([("n1", ROWS + 5)], [digest], labelled=True)
    assert "n1 @ 2026-03-01T00:00:00Z: rows=50, recorded_rows=55" in refused()


@pytest.mark.parametrize(("minutes", "step"), [(-1, "0"), (-2, "-60")])
def test_a_timestamp_that_repeats_or_goes_back_is_refused(minutes: int, step: str) -> None:
    store(node("n1"), moved(node("n2"), 20, minutes))
    found = refused()
    assert "column step_seconds" in found
    assert re.search(rf"n2 @ 2026-03-01T00:\d\d:00Z: {step};", found)


def test_units_may_begin_before_the_unit_that_is_stored_first_ends() -> None:
    store(node("n1", late=30), node("n2"))
    assert run().findings == ()


def test_many_missing_steps_are_a_warning_and_few_are_not() -> None:
    kept = np.r_[0:10, 40:ROWS]
    gap = node("n2")
    gap = replace(gap, timestamps=gap.timestamps[kept], values=gap.values[kept], target=gap.target[kept])
    store(node("n1"), moved(node("n3"), ROWS - 1, 5), gap)
    (finding,) = run().findings
    assert (finding.column, finding.severity, finding.count) == ("missing_share", "warning", 1)
    assert finding.first_rows == ("n2 @ 2026-03-01T00:00:00Z: 0.6",)


def test_rows_without_any_value_count_as_missing() -> None:
    empty = node("n2")
    empty.values[:20] = np.nan
    store(node("n1"), empty)
    assert [finding.column for finding in run().findings] == ["missing_share"]


def test_a_label_that_is_neither_0_nor_1_is_refused_and_an_unknown_one_is_not() -> None:
    strange = node("n1")
    strange.target[[4, 5]] = [np.nan, 2]
    store(strange)
    assert "column target" in refused()
    assert report().findings[0].first_rows == ("n1 @ 2026-03-01T00:05:00Z: 2",)


def test_labels_in_a_dataset_without_labels_are_refused() -> None:
    store(node("n1"), labelled=False)
    assert "column target: expect_column_values_to_be_null fails 50 times (100.000%)" in refused()


def test_an_expectation_of_the_task_is_counted_and_shown_by_its_first_rows() -> None:
    store(node("n1"), node("n2"))
    line = refused(expect(BETWEEN, column="load", max_value=0.5), first_rows=2)
    (finding,) = report().findings
    assert (finding.count, finding.share) == (50, 0.5)
    assert finding.first_rows == ("n1 @ 2026-03-01T00:25:00Z: 0.510204", "n1 @ 2026-03-01T00:26:00Z: 0.530612")
    assert "column load" in line
    assert "50 times (50.000%), first n1 @ 2026-03-01T00:25:00Z: 0.510204" in line
    assert str(PAGE) in line


def test_all_critical_findings_are_counted_in_the_line_and_come_first_in_the_report() -> None:
    store(node("n1"))
    mild = expect(BETWEEN, "warning", column="load", max_value=0.5)
    line = refused(mild, expect(BETWEEN, column="load", max_value=0.6), expect(BETWEEN, column="power", max_value=0))
    assert "1 more critical" in line
    assert [finding.severity for finding in report().findings] == ["critical", "critical", "warning"]


def test_a_warning_of_the_task_refuses_nothing() -> None:
    store(node("n1"))
    assert len(run(expect(BETWEEN, "warning", column="load", max_value=0.5)).failures("warning")) == 1


def test_what_mostly_tolerates_is_no_finding() -> None:
    store(node("n1"))
    assert run(expect(BETWEEN, column="load", max_value=0.9, mostly=0.8)).findings == ()


def test_a_rule_about_a_whole_column_shows_what_was_observed() -> None:
    store(node("n1"))
    assert "observed 400: " in refused(expect("expect_column_mean_to_be_between", column="power", max_value=10))


def test_rules_about_several_columns_name_all_of_them() -> None:
    store(node("n1"))
    pair = expect("expect_column_pair_values_a_to_be_greater_than_b", column_A="load", column_B="power")
    refused(pair)
    assert report().findings[0].column == "load, power"
    assert report().findings[0].first_rows[0] == "n1 @ 2026-03-01T00:00:00Z: load=0, power=300"


def test_expectations_that_are_asked_twice_are_answered_twice() -> None:
    store(node("n1"))
    twice = expect(BETWEEN, "warning", column="load", max_value=0.5)
    assert len(run(twice, twice).findings) == 2


def test_a_recorded_value_meets_a_bound_of_the_same_decimal_number() -> None:
    unit = node("n1")
    unit.values[:, 1] = np.linspace(0.1, 0.7, ROWS)
    store(unit)
    assert float(np.float32(0.1)) != 0.1
    assert run(expect(BETWEEN, column="load", min_value=0.1, max_value=0.7)).findings == ()


WRONG: dict[str, tuple[Expectation, str]] = {
    "rule": (expect("expect_column_value_to_be_betwen", column="load"), f"nearest: {BETWEEN}"),
    "not a rule": (expect("zzz"), "'zzz' is not a Great Expectations rule; known: "),
    "column": (expect(BETWEEN, column="laod", max_value=1), "no column 'laod'; nearest: load"),
    "second column": (
        expect("expect_column_pair_values_to_be_equal", column_A="load", column_B="pwer"),
        "no column 'pwer'; nearest: power",
    ),
    "argument": (expect(BETWEEN, column="load", max_valu=1), "unknown argument 'max_valu'; nearest: max_value"),
    "no argument": (expect(BETWEEN, column="load"), "min_value and max_value cannot both be None"),
    "no column": (expect(BETWEEN, max_value=1), "argument 'column': field required"),
    "share": (expect(BETWEEN, column="load", max_value=1, mostly=3), "argument 'mostly': ensure this value"),
    "type": (expect("expect_column_values_to_be_in_set", column="load", value_set=5), "argument 'value_set': "),
    "number as column": (expect(BETWEEN, column=3, max_value=1), "there is no column '3'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_expectation_that_does_not_exist_is_refused_with_what_comes_near_it(case: str) -> None:
    expectation, complaint = WRONG[case]
    store(node("n1"))
    line = refused(expectation)
    assert complaint in line
    assert expectation.rule in line


def test_what_cannot_be_evaluated_is_critical_however_mild_it_was_declared() -> None:
    store(node("n1"))
    rule = "expect_table_row_count_to_equal_other_table"
    assert f"{rule} fails" in refused(expect(rule, "warning", other_table_name="other"))
    assert "could not be evaluated" in report().findings[0].first_rows[0]


@pytest.mark.parametrize("name", ["unit", "group", "step_seconds"])
def test_a_column_named_like_one_that_validation_adds_is_refused(name: str) -> None:
    store(node("n1"), columns=(COLUMNS[0], Column(name=name, unit="1")))
    assert f"column {name!r}" in refused()


def test_equal_rows_give_equal_bytes() -> None:
    outputs = []
    for _ in range(2):
        store(changed(node("n1"), 3, 0, np.inf))
        refused(expect(BETWEEN, column="load", max_value=0.5))
        outputs.append(files.digests(files.REPORTS))
    assert outputs[0] == outputs[1]
    assert sorted(outputs[0]) == ["validate.json", "validate/index.html"]


def test_the_page_fetches_nothing_and_runs_nothing(project: Path) -> None:
    store(changed(node("n1"), 3, 0, np.inf))
    refused()
    page = PAGE.read_text()
    assert not re.search(r"<script|<link|<iframe|@import|(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", page)
    assert str(project) not in page + files.report_path("validate").read_text()


def test_names_that_look_like_html_are_shown_as_text() -> None:
    store(node("n1"), columns=(COLUMNS[0], Column(name="<script>$load", unit="1")))
    refused(expect(BETWEEN, column="<script>$load", max_value=0.5))
    assert "<script>" not in PAGE.read_text()
    assert "&lt;script&gt;$load" in PAGE.read_text()


def test_nothing_is_sent_and_nothing_is_left_behind(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"connects to {address}")

    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(tempfile, "tempdir", str(empty))
    monkeypatch.setenv("HOME", str(empty))
    store(node("n1"))
    run()
    assert list(empty.iterdir()) == []
    left = sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    assert left == [
        "data/quarantine/quarantine.json",
        "data/raw/dataset.json",
        "data/raw/n1.parquet",
        "reports/validate.json",
        str(PAGE),
    ]


def test_a_page_of_an_earlier_run_does_not_survive_a_refusal() -> None:
    store(node("n1"))
    run()
    store(changed(node("n1"), 3, 0, np.inf))
    refused()
    assert "Rows fail 1 critical expectation:" in PAGE.read_text()
