"""Parquet and CSV files of one's own: read as they are meant, or refused by name."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from wattline import splits

from .conftest import run

BASE = {
    "column_units": {"power": "W", "inlet": "degC"},
    "cadence_seconds": 60,
    "licence": "proprietary",
    "citation": "our cluster",
}
HEADER = "timestamp,power,inlet"
ROWS = [f"2026-01-05T00:0{minute}:00Z,{100 + minute},21.5" for minute in range(5)]


def csv(path: str, *lines: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def options(path: str, **more: object) -> dict[str, object]:
    return BASE | {"path": path} | more


def instants(dataset_unit: str) -> list[str]:
    return [str(instant)[:19] for instant in splits.read_raw(splits.read_dataset(), dataset_unit).timestamps]


def test_a_folder_of_files_gives_one_unit_for_each(project):
    for name in ("n2", "n1"):
        csv(f"in/rack/{name}.csv", HEADER, *ROWS)
    run("csv", **options("in"))
    dataset = splits.read_dataset()
    assert [(unit.name, unit.group, unit.rows) for unit in dataset.units] == [("n1", "n1", 5), ("n2", "n2", 5)]
    assert [(column.name, column.unit) for column in dataset.columns] == [("power", "W"), ("inlet", "degC")]
    assert (dataset.licence, dataset.citation, dataset.home) == ("proprietary", "our cluster", "local")
    assert [(file.path, file.origin) for file in dataset.files] == [("n1.csv", "local"), ("n2.csv", "local")]


def test_no_file_of_a_folder_is_left_out_for_the_case_of_its_suffix(project):
    csv("in/n1.csv", HEADER, *ROWS)
    csv("in/n2.CSV", HEADER, *ROWS)
    run("csv", **options("in"))
    assert [unit.name for unit in splits.read_dataset().units] == ["n1", "n2"]


def test_a_pattern_takes_what_it_matches_alone(project):
    for name in ("n1", "n2", "m1"):
        csv(f"in/{name}.csv", HEADER, *ROWS)
    run("csv", **options("in/n*.csv"))
    assert [unit.name for unit in splits.read_dataset().units] == ["n1", "n2"]
    run("csv", **options(str(Path("in").resolve() / "m*.csv")))
    assert [unit.name for unit in splits.read_dataset().units] == ["m1"]


def test_units_groups_and_labels_come_from_columns(project):
    lines = [
        f"2026-01-05T00:0{minute}:00Z,{minute},20,{node},r{node // 2},{label}"
        for node in (1, 2)
        for minute, label in enumerate(["0", "", "1"])
    ]
    csv("in/all.csv", f"{HEADER},node,rack,label", *lines)
    run("csv", **options("in", unit="node", group="rack", label="label"))
    dataset = splits.read_dataset()
    assert [(unit.name, unit.group) for unit in dataset.units] == [("1", "r0"), ("2", "r1")]
    assert dataset.labelled
    assert splits.read_raw(dataset, "1").target.tolist()[::2] == [0, 1]
    assert np.isnan(splits.read_raw(dataset, "1").target[1])


def test_a_unit_may_span_files(project):
    csv("in/day1.csv", f"{HEADER},node", *(f"{row},a" for row in ROWS[:2]))
    csv("in/day2.csv", f"{HEADER},node", *(f"{row},a" for row in ROWS[2:]))
    run("csv", **options("in", unit="node"))
    assert splits.read_dataset().units[0].rows == 5


def test_other_offsets_become_utc(project):
    csv("n1.csv", HEADER, "2026-01-05T01:00:00+01:00,1,2", "2026-01-05T01:01:00+01:00,1,2")
    run("csv", **options("n1.csv"))
    assert instants("n1") == ["2026-01-05T00:00:00", "2026-01-05T00:01:00"]


def test_naive_timestamps_are_refused_with_the_remedy_and_read_with_it(project, refused):
    csv("n1.csv", HEADER, "2026-07-05 02:00:00,1,2", "2026-07-05 02:01:00,1,2")
    refused(
        "csv", "n1.csv", "'timestamp' has no time zone", "2026-07-05 02:00:00", "set `timezone`", **options("n1.csv")
    )
    run("csv", **options("n1.csv", timezone="Europe/Rome"))
    assert instants("n1")[0] == "2026-07-05T00:00:00"
    assert "Europe/Rome" in splits.read_dataset().notes[0]


def test_an_hour_that_a_clock_change_repeats_is_refused_rather_than_guessed(project, refused):
    csv("n1.csv", HEADER, "2026-10-25 02:30:00,1,2", "2026-10-25 03:30:00,1,2")
    refused(
        "csv",
        "cannot be taken as time in 'Europe/Rome'",
        "write it in UTC",
        **options("n1.csv", timezone="Europe/Rome"),
    )
    refused(
        "csv",
        "infer dst time from 2026-10-25 02:30:00; write it in UTC",  # without advice on arguments of pandas
        **options("n1.csv", timezone="Europe/Rome"),
    )
    refused("csv", "cannot be taken as time in 'Mars/Base'", **options("n1.csv", timezone="Mars/Base"))
    csv("n1.csv", HEADER, "2026-03-29 02:30:00,1,2", "2026-03-29 03:30:00,1,2")
    refused("csv", "daylight savings time; write it in UTC", **options("n1.csv", timezone="Europe/Rome"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("yesterday", "yesterday"),
        ("yesterdayT10:00Z", "'yesterdayT10:00Z' in row 1, which is not ISO 8601"),
        ("1767571200", "'1767571200' in row 1, without an offset from UTC"),
        ("2026-01-05", "'2026-01-05' in row 1, without an offset from UTC"),
        ("", "is empty in row 1"),
        ("2026-13-05T00:00Z", "13"),
    ],
)
def test_a_timestamp_that_is_none_is_named(project, refused, value, words):
    csv("n1.csv", HEADER, ROWS[0], f"{value},1,2")
    refused("csv", "n1.csv", "'timestamp'", words, **options("n1.csv"))


def test_an_hour_that_a_clock_change_repeats_is_clear_where_each_row_has_its_offset(project):
    csv("n1.csv", HEADER, "2026-10-25T02:30:00+02:00,1,2", "2026-10-25T02:30:00+01:00,1,2")
    run("csv", **options("n1.csv", cadence_seconds=3600))
    assert instants("n1") == ["2026-10-25T00:30:00", "2026-10-25T01:30:00"]


def test_timestamps_of_which_none_is_one_are_named(project, refused):
    csv("n1.csv", HEADER, "1767571200,1,2", "1767571260,1,2")
    refused("csv", "'1767571200' in row 0, which is not ISO 8601", **options("n1.csv"))


def test_rows_that_come_twice_or_out_of_order_are_refused(project, refused):
    csv("n1.csv", HEADER, ROWS[0], ROWS[1], ROWS[1])
    refused("csv", "unit n1: timestamp 2026-01-05T00:01:00.000000000Z comes twice", **options("n1.csv"))
    csv("n1.csv", HEADER, ROWS[1], ROWS[0])
    refused("csv", "follows", "sort the rows", **options("n1.csv"))


def test_a_column_that_is_not_numeric_is_named_with_its_first_value(project, refused):
    csv("n1.csv", HEADER, ROWS[0], "2026-01-05T00:01:00Z,down,21", "2026-01-05T00:02:00Z,off,21")
    refused("csv", "n1.csv: column 'power' is not numeric", "first 'down'", "repair or remove it", **options("n1.csv"))


def test_empty_cells_are_missing_samples(project):
    csv("n1.csv", HEADER, "2026-01-05T00:00:00Z,,21", "2026-01-05T00:01:00Z,,nan")
    run("csv", **options("n1.csv"))
    assert np.isnan(splits.read_raw(splits.read_dataset(), "n1").values[:, 0]).all()


@pytest.mark.parametrize("value", ["inf", "-inf", "1e300"])
def test_a_value_that_is_infinite_in_32_bits_is_named(project, refused, value):
    csv("n1.csv", HEADER, ROWS[0], f"2026-01-05T00:01:00Z,{value},21")
    refused("csv", "unit n1: column 'power' is", "2026-01-05T00:01:00", "write NaN", **options("n1.csv"))


def test_columns_that_differ_between_files_are_named(project, refused):
    csv("in/n1.csv", HEADER, *ROWS)
    for header, words in (
        ("timestamp,power", "lacks inlet"),
        ("timestamp,power,inlet,fan", "has unknown fan"),
        ("timestamp,power,inlet_temp", "lacks inlet and has unknown inlet_temp"),
        ("timestamp,inlet,power", "'inlet' where 'power' belongs"),
        ("time,power,inlet", "has no column 'timestamp'"),
        ("timestamp,power,power", "column 'power' more than once"),
    ):
        count = header.count(",")
        csv("in/n2.csv", header, *(",".join([row.split(",")[0], *["1"] * count]) for row in ROWS))
        refused("csv", "in/n2.csv", words, **options("in"))


def test_a_unit_column_without_a_name_in_some_row_is_refused(project, refused):
    csv("n1.csv", f"{HEADER},node", f"{ROWS[0]},a", f"{ROWS[1]},")
    refused("csv", "unit name '' cannot be a file name", **options("n1.csv", unit="node"))


def test_a_unit_in_two_groups_is_refused(project, refused):
    csv("n1.csv", f"{HEADER},rack", f"{ROWS[0]},a", f"{ROWS[1]},b")
    refused("csv", "n1.csv belongs to 2 groups (['a', 'b'])", **options("n1.csv", group="rack"))


def test_labels_other_than_0_and_1_are_refused(project, refused):
    csv("n1.csv", f"{HEADER},label", f"{ROWS[0]},0", f"{ROWS[1]},7")
    refused("csv", "label 7 at 2026-01-05T00:01:00", **options("n1.csv", label="label"))
    csv("n1.csv", f"{HEADER},label", f"{ROWS[0]},0", f"{ROWS[1]},broken")
    refused("csv", "'label' is not numeric", "'broken'", **options("n1.csv", label="label"))


def test_reserved_names_are_refused(project, refused):
    csv("n1.csv", "timestamp,target", "2026-01-05T00:00:00Z,1")
    refused("csv", "'target' has a reserved name; rename it", **options("n1.csv", column_units={"target": "1"}))


def test_a_row_of_another_length_and_an_empty_file_are_refused(project, refused):
    csv("n1.csv", HEADER, ROWS[0], "2026-01-05T00:01:00Z,1")
    refused("csv", "n1.csv is not comma-separated rows", "Expected 3 columns, got 2", **options("n1.csv"))
    Path("n1.csv").write_bytes(b"")
    refused("csv", "n1.csv is not comma-separated rows", "Empty CSV", **options("n1.csv"))
    csv("n1.csv", HEADER)
    refused("csv", "n1.csv holds no row; leave it out", **options("n1.csv"))
    csv("n1.csv", HEADER, ROWS[0])
    refused("csv", "unit n1 has 1 rows, at least 2", **options("n1.csv"))


def test_a_place_without_files_is_named(project, refused):
    Path("empty").mkdir()
    refused("csv", "folder empty holds no .csv file", **options("empty"))
    refused("csv", "absent.csv is no file, no folder", **options("absent.csv"))
    refused("csv", "empty/*.csv is no file", **options("empty/*.csv"))


def test_two_files_of_one_name_are_refused(project, refused):
    csv("in/a/n1.csv", HEADER, *ROWS)
    csv("in/b/n1.csv", HEADER, *ROWS)
    refused("csv", "unit 'n1' comes twice", **options("in"))


def test_an_official_test_part_is_kept_and_checked(project, refused):
    csv("n1.csv", HEADER, *ROWS)
    refused("csv", "test_start", "is not between", **options("n1.csv", test_start="2027-01-01T00:00:00Z"))
    refused("csv", "ingest.options.csv.test_start", **options("n1.csv", test_start="2026-01-05T00:02:00"))
    run("csv", **options("n1.csv", test_start="2026-01-05T01:02:00+01:00"))
    assert splits.read_dataset().units[0].test_start == datetime(2026, 1, 5, 0, 2, tzinfo=UTC)


def table(**replaced: object) -> pyarrow.Table:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    columns: dict[str, object] = {
        "timestamp": pyarrow.array(
            [start.replace(minute=minute) for minute in range(4)], pyarrow.timestamp("ms", tz="Europe/Rome")
        ),
        "power": pyarrow.array([1, 2, None, 4], pyarrow.int64()),
        "inlet": pyarrow.array([True, False, True, None]),
    }
    return pyarrow.table(columns | replaced)


def test_parquet_keeps_instants_and_takes_integers_and_booleans(project):
    parquet.write_table(table(), "n1.parquet")
    run("parquet", **options("n1.parquet"))
    series = splits.read_raw(splits.read_dataset(), "n1")
    assert instants("n1")[0] == "2026-01-05T00:00:00"
    assert series.values[:2].tolist() == [[1, 1], [2, 0]]
    assert np.isnan(series.values[[2, 3], [0, 1]]).all()


def test_parquet_timestamps_may_be_text_but_not_numbers_or_naive(project, refused):
    texts = pyarrow.array([f"2026-01-05T00:0{minute}:00Z" for minute in range(4)])
    parquet.write_table(table(timestamp=texts), "n1.parquet")
    run("parquet", **options("n1.parquet"))
    assert instants("n1")[-1] == "2026-01-05T00:03:00"
    Path("wrong").mkdir()
    parquet.write_table(table(timestamp=pyarrow.array([1, 2, 3, 4])), "wrong/n1.parquet")
    run("simulator", nodes=2, nodes_per_rack=1, days=0.5)
    refused("parquet", "'timestamp' is int64, first 1, not a timestamp", "ISO 8601", **options("wrong"))
    naive = table()["timestamp"].cast(pyarrow.timestamp("ms"))
    parquet.write_table(table(timestamp=naive), "wrong/n1.parquet")
    refused("parquet", "'timestamp' has no time zone", **options("wrong"))


def test_parquet_units_may_be_a_dictionary_column(project):
    names = pyarrow.array(["a", "a", "b", "b"]).dictionary_encode()
    parquet.write_table(table(node=names), "all.parquet")
    run("parquet", **options("all.parquet", unit="node"))
    assert [unit.name for unit in splits.read_dataset().units] == ["a", "b"]


def test_a_folder_name_does_not_become_a_column(project):
    Path("in/rack=3").mkdir(parents=True)
    parquet.write_table(table(), "in/rack=3/n1.parquet")
    run("parquet", **options("in"))
    assert splits.read_dataset().units[0].name == "n1"


def test_what_is_not_parquet_is_named(project, refused):
    csv("n1.parquet", HEADER, *ROWS)
    refused("parquet", "n1.parquet is not Parquet", "write it again", **options("n1.parquet"))


def test_parquet_text_columns_are_named(project, refused):
    parquet.write_table(table(power=pyarrow.array(["1", "2", "off", "4"])), "n1.parquet")
    refused("parquet", "column 'power' is not numeric (string), first 'off'", **options("n1.parquet"))
    parquet.write_table(table(power=pyarrow.array([None, "2", "3", "4"])), "n1.parquet")
    refused("parquet", "column 'power' is not numeric (string), first '2'", **options("n1.parquet"))


def test_parquet_columns_of_two_types_are_read_as_one(project, refused):
    Path("in").mkdir()
    node = pyarrow.array(["a"] * 4)
    parquet.write_table(table(node=node), "in/1.parquet")
    later = pyarrow.array([datetime(2026, 1, 6, 0, minute, tzinfo=UTC) for minute in range(4)],
                          pyarrow.timestamp("ms", tz="Europe/Rome"))  # fmt: skip
    parquet.write_table(table(node=node, power=pyarrow.array([0.5] * 4), timestamp=later), "in/2.parquet")
    run("parquet", **options("in", unit="node", column_units={"power": "W", "inlet": "1"}))
    assert splits.read_raw(splits.read_dataset(), "a").values[-1, 0] == 0.5
    parquet.write_table(table(node=node, timestamp=pyarrow.array(["2026-01-07T00:00:00Z"] * 4)), "in/3.parquet")
    run("simulator", nodes=2, nodes_per_rack=1, days=0.5)
    refused("parquet", "columns of different types", "make them equal", **options("in", unit="node"))


@pytest.mark.parametrize("year", ["2500", "0001"])
def test_a_year_that_no_timestamp_can_hold_is_refused(project, refused, year):
    csv("n1.csv", HEADER, f"{year}-01-05T00:00:00Z,1,2", f"{year}-01-05T00:01:00Z,1,2")
    refused("csv", "n1.csv", "'timestamp'", f"{year}-01-05", "outside of the years", **options("n1.csv"))


def test_a_header_that_is_no_text_is_refused(project, refused):
    csv("n1.csv", HEADER, *ROWS)
    path = project / "n1.csv"
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    refused("csv", "n1.csv", **options("n1.csv"))
