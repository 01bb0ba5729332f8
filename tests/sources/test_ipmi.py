"""Dumps of `ipmitool sdr`: every line is read or counted, and what is read equals what others have read."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sources.conftest import run
from wattline import splits
from wattline.errors import InputError
from wattline.sources import UnitSeries, open_source
from wattline.sources.ipmi import sdr

METRICS = {"Sys Power": {"column": "power", "unit": "W"}, "Ambient Temp": {"column": "inlet", "unit": "degC"}}
DUMP = """Sys Power | {power} Watts | ok
Ambient Temp | 21 degrees C | ok
Progress | Not Readable | ns
"""


@pytest.mark.parametrize(
    ("line", "value", "unit", "status"),
    [
        ("Ambient | 45 degrees C | ok", 45, "degC", "ok"),
        ("Inlet Temp       | 113 degrees F     | nc", 113, "degF", "nc"),
        ("12V | 12.12 Volts | ok", 12.12, "V", "ok"),
        ("Curr | 1.20e+00 Amps | cr", 1.2, "A", "cr"),
        ("Pwr | 270 Watts | ok", 270, "W", "ok"),
        ("Fan | 9936 RPM | ok", 9936, "rpm", "ok"),
        ("Flow | 24 CFM | ok", 24, "ft3/min", "ok"),
        ("Load | 50 percent | ok", 50, "%", "ok"),
        ("DTS | -51 unspecified | ok", -51, "1", "ok"),
        ("Odd | 7 fluid ounce | ok", 7, "fluid ounce", "ok"),
        ("State | 0x8d | ok", 141, "1", "ok"),
        ("Temp | 01h | ok | 7.1 | 21 degrees C", 21, "degC", "ok"),
        ("PSU | disabled | ns", math.nan, None, "ns"),
        ("PSU | no reading | ns", math.nan, None, "ns"),
        ("PSU | Not Readable | ns", math.nan, None, "ns"),
        ("PSU | 45 degrees C | ns", math.nan, "degC", "ns"),
        ("PSU | Presence detected | ok", math.nan, None, "ok"),
    ],
)
def test_a_line_is_read(line: str, value: float, unit: str | None, status: str) -> None:
    found = sdr.reading(line)
    assert found is not None
    np.testing.assert_equal((found.value, found.unit, found.status), (value, unit, status))


@pytest.mark.parametrize("line", ["Error: Unable to establish session", "a | b", "| 1 Watts | ok", "a | 1 | yes"])
def test_what_is_no_sensor_is_not_read(line: str) -> None:
    assert sdr.reading(line) is None


def test_dumps_begin_at_their_time_and_names_that_come_twice_are_numbered() -> None:
    lines = ["Timestamp: 2025-06-03 00:00:11 UTC", "Temp | 1 degrees C | ok", "Temp | 2 degrees C | ok", "junk", ""]
    first, second = sdr.dumps([*lines, *lines], where="f")
    assert [reading.sensor for reading in second.readings] == ["Temp", "Temp#2"]
    assert first.instant is not None
    assert first.instant.isoformat() == "2025-06-03T00:00:11+00:00"
    assert first.junk == {"the line is no sensor": 1}


@pytest.mark.parametrize("zone", ["CEST", "", "+02:00"])
def test_a_time_that_may_not_be_utc_is_refused(zone: str) -> None:
    with pytest.raises(InputError, match=r"f:1: the time 2025-06-03 00:00:11 .*not said to be UTC"):
        list(sdr.dumps([f"Timestamp: 2025-06-03 00:00:11 {zone}"], where="f"))


def test_a_real_dump_is_read_as_its_publishers_read_it(real_data: Path) -> None:
    folder = real_data / "harvard_ipmi"
    (path,) = folder.glob("raw_sample_*.txt")
    node = path.stem.removeprefix("raw_sample_")
    dumps = list(sdr.dumps(path.read_text().splitlines(), where="sample"))

    with (folder / "sdr_lines.csv").open() as stream:
        counted = next(row for row in csv.DictReader(stream) if row["node"] == node)
    calls = 1440  # a day, one each minute
    for dump in dumps:
        assert not dump.junk
        assert len(dump.readings) == int(counted["sdr_lines"]) / calls
        assert sum(reading.status == "ns" for reading in dump.readings) == int(counted["ns_lines"]) / calls

    table = pq.read_table(folder / "power_temperature.parquet", filters=[("node", "=", node)]).to_pandas()
    published = {(row.ts.to_pydatetime(), row.sensor): (row.value, row.unit) for row in table.itertuples()}
    ours = {
        (dump.instant.replace(tzinfo=None), reading.sensor): (reading.value, reading.unit)
        for dump in dumps
        if dump.instant
        for reading in dump.readings
        if reading.unit in ("W", "degC") and math.isfinite(reading.value)
    }
    assert len(ours) == 3 * 14
    assert ours == {key: value for key, value in published.items() if key[0] <= max(when for when, _ in ours)}


def test_the_table_of_a_whole_cluster_is_read_at_full_width(real_data: Path) -> None:
    path = real_data / "harvard_ipmi" / "power_temperature.parquet"
    source = open_source("ipmi", {"path": str(path), "metrics": METRICS, "timezone": "UTC"}, seed=0)
    units = {unit.series.unit: unit for unit in source.units}
    table = pq.read_table(path).to_pandas()
    table = table[table["sensor"].isin(METRICS)]
    rows = table.groupby(table["node"].astype(str))["ts"].nunique()
    assert {name: len(unit.series.timestamps) for name, unit in units.items()} == rows[rows >= 2].to_dict()
    for place, sensor in enumerate(METRICS):
        ours = np.nansum([np.nansum(unit.series.values[:, place].astype(np.float64)) for unit in units.values()])
        kept = table[(table["sensor"] == sensor) & table["node"].astype(str).isin(units)]
        assert ours == kept["value"].astype(np.float64).sum()


def test_dumps_in_a_folder_become_rows(tmp_path: Path) -> None:
    for minute in (2, 0, 1):
        (tmp_path / f"r205n01_20250603T00{minute:02d}00Z.txt").write_text(DUMP.format(power=100 + minute))
    stamped = "".join(f"Timestamp: 2025-06-03 00:0{m}:00 UTC\n{DUMP.format(power=m)}junk\n" for m in range(2))
    (tmp_path / "other.txt").write_text(stamped)
    other, rack = units(tmp_path)
    assert (rack.series.unit, rack.series.group, other.series.group) == ("r205n01", "r205", "other")
    np.testing.assert_array_equal(rack.series.values, [[100, 21], [101, 21], [102, 21]])
    assert rack.series.timestamps[0] == np.datetime64("2025-06-03T00:00:00")
    assert dict(other.quarantined) == {"the line is no sensor": 2}


def units(folder: Path, **options: object) -> list[UnitSeries]:
    return list(open_source("ipmi", {"path": str(folder), "metrics": METRICS, **options}, seed=0).units)


def test_another_unit_is_counted_and_not_converted(tmp_path: Path) -> None:
    text = DUMP.format(power=1).replace("21 degrees C", "70 degrees F")
    (tmp_path / "a.txt").write_text("".join(f"Timestamp: 2025-06-03 00:0{m}:00 UTC\n{text}" for m in range(2)))
    (unit,) = units(tmp_path)
    assert np.isnan(unit.series.values[:, 1]).all()
    assert dict(unit.quarantined) == {"Ambient Temp is in degF, not degC": 2}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.txt", {}, "nothing says when it was taken"),
        ("a_20251301T000000Z.txt", {}, "is no time like"),
        ("a_20250603T000000Z.txt", {}, "less than two dumps"),
        ("a-202506030000.txt", {"file_pattern": r"(?P<unit>\w)-(?P<instant>\d+).txt", "instant_format": "%Y%m%d%H%M"},
         "has no time zone; set `timezone`"),
        ("a-202510260230.txt", {"file_pattern": r"(?P<unit>\w)-(?P<instant>\d+).txt", "instant_format": "%Y%m%d%H%M",
         "timezone": "Europe/Rome"}, "a clock change repeats or skips"),
        ("a-202510260230.txt", {"file_pattern": r"(?P<unit>\w)-(?P<instant>\d+).txt", "instant_format": "%Y%m%d%H%M",
         "timezone": "Rome"}, "timezone 'Rome' is not known"),
        ("a.txt", {"file_pattern": r"(?P<unit>b).txt"}, "does not match file_pattern"),
        ("a.txt", {"file_pattern": r"(.*).txt"}, r"must have a group \(\?P<unit>"),
        ("a.txt", {"file_pattern": "("}, "is no regular expression"),
        ("a.log", {}, "holds no .txt file"),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_named(tmp_path: Path, name: str, options: dict[str, object], words: str) -> None:
    (tmp_path / name).write_text(DUMP.format(power=1))
    with pytest.raises(InputError, match=words):
        units(tmp_path, **options)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"sensor": None}, {}, "no column 'sensor'"),
        ({"sensor": ["x"] * 3}, {}, "none of the sensors"),
        ({}, {"timezone": None}, "has no time zone"),
    ],
)
def test_a_table_that_is_none_is_named(
    tmp_path: Path, change: dict[str, object], options: dict[str, object], words: str
) -> None:
    rows = {
        "node": ["a"] * 3, "sensor": ["Sys Power"] * 3, "ts": pd.date_range("2025-06-03", periods=3, freq="min"),
        "value": [1.0, np.inf, 3.0], "unit": ["W", "W", "kW"], **change,
    }  # fmt: skip
    path = tmp_path / "readings.parquet"
    pd.DataFrame({name: values for name, values in rows.items() if values is not None}).to_parquet(path)
    with pytest.raises(InputError, match=words):
        units(path, **{"timezone": "UTC", **options})


def test_a_node_of_a_table_that_is_left_out_is_counted_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "readings.parquet"
    rows = pd.DataFrame({
        "node": ["a", "b", "b", "b", "c", "d", "d"], "sensor": "Sys Power",
        "ts": pd.date_range("2025-06-03", periods=7, freq="min", tz="UTC"), "value": 1.0,
        "unit": ["W"] * 5 + ["kW"] * 2,
    })  # fmt: skip
    rows.to_parquet(path)
    (unit,) = units(path)
    assert unit.series.unit == "b"
    assert dict(unit.quarantined) == {"a unit with less than two rows": 3, "Sys Power is not in W": 2}


def test_dumps_of_which_none_can_be_taken_say_why(tmp_path: Path) -> None:
    text = DUMP.format(power=1).replace("Watts", "kW").replace("degrees C", "degrees F")
    (tmp_path / "a.txt").write_text("".join(f"Timestamp: 2025-06-03 00:0{m}:00 UTC\n{text}" for m in range(2)))
    with pytest.raises(InputError, match="Ambient Temp is in degF, not degC"):
        units(tmp_path)


def test_ingest_reads_dumps(project: Path) -> None:
    folder = project / "data" / "external"
    folder.mkdir(parents=True)
    for node in ("a", "b"):
        for minute in range(3):
            (folder / f"{node}_20250603T00{minute:02d}00Z.txt").write_text(DUMP.format(power=minute))
    run("ipmi", path="data/external", metrics=METRICS)
    assert [(unit.name, unit.rows) for unit in splits.read_dataset().units] == [("a", 3), ("b", 3)]
