"""profile: figures are those of the rows, pictures show what is there, and equal rows give equal bytes."""

import csv
import math
import re
import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wattline import files
from wattline.errors import IntegrityError
from wattline.params import ProfileParams
from wattline.quality import comparison, plots, unit_table
from wattline.quality.profile import Profile, profiled
from wattline.records import Column, Dataset, UnitRows
from wattline.stages import profile
from wattline.task import FloatArray, Series

START = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (Column(name="power", unit="W", description="of <one> node"), Column(name="load", unit="1"))
FOLDER = Path("reports/profile")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def node(name: str, values: FloatArray, target: NDArray[np.float64] | None = None) -> Series:
    rows = len(values)
    timestamps = np.datetime64("2026-03-01T00:00:00", "ns") + np.arange(rows) * np.timedelta64(60, "s")
    return Series(name, "rack-1", timestamps, values, np.full(rows, np.nan) if target is None else target)


def noise(rows: int, *, seed: int, mean: float = 0.0) -> FloatArray:
    return np.random.default_rng(seed).normal(mean, 2.0, (rows, len(COLUMNS))).astype(np.float32)


def store(*units: Series, test_after: int | None = None, labelled: bool = False) -> Dataset:
    """Write raw rows and their record. test_after: rows of each unit before its test part."""
    dataset = Dataset(
        name="cluster",
        source="parquet",
        home="local files",
        licence="CC0",
        citation="none",
        cadence_seconds=60,
        columns=COLUMNS,
        units=tuple(
            UnitRows(
                name=unit.unit,
                group=unit.group,
                rows=len(unit),
                start=START,
                end=START + timedelta(minutes=len(unit) - 1),
                test_start=None if test_after is None else START + timedelta(minutes=test_after),
                sha256=files.write_series(files.RAW, unit, [column.name for column in COLUMNS]),
            )
            for unit in units
        ),
        labelled=labelled,
    )
    files.write_text(files.RAW / "dataset.json", dataset.to_json())
    return dataset


def run(*, rows: int = 1000) -> Profile:
    profile.run(profile=ProfileParams(rows=rows))
    return files.read_report("profile", Profile)


def test_figures_are_those_of_all_rows_whatever_their_units_are() -> None:
    first, second = noise(300, seed=1), noise(100, seed=2, mean=50.0)
    first[:30, 0] = np.nan
    store(node("n1", first), node("n2", second))
    found = run()
    together = np.concatenate([first, second]).astype(np.float64)
    power = found.columns["power"]
    assert power.mean == pytest.approx(np.nanmean(together[:, 0]))
    assert power.standard_deviation == pytest.approx(np.nanstd(together[:, 0]))
    assert (power.minimum, power.maximum) == (np.nanmin(together[:, 0]), np.nanmax(together[:, 0]))
    assert (power.p01, power.p50, power.p99) == pytest.approx(np.nanquantile(together[:, 0], [0.01, 0.5, 0.99]))
    assert power.missing_share == pytest.approx(30 / 400)
    assert found.columns["load"].missing_share == 0
    assert (found.rows, found.sampled_rows) == (400, 400)
    assert found.unit_of == {"power": "W", "load": "1"}


def gappy() -> tuple[Series, ...]:
    """Units of different length and level, with values missing here and there, and a column that one never recorded."""
    generator = np.random.default_rng(3)
    units = []
    for number, rows in enumerate((300, 170, 41)):
        values = noise(rows, seed=number, mean=10.0 * number)
        values[generator.random(values.shape) < 0.1] = np.nan
        values[generator.random(values.shape) < 0.02] = np.inf
        units.append(node(f"n{number}", values))
    units[1].values[:, 1] = np.nan
    return tuple(units)


def brute(values: FloatArray) -> dict[str, float]:
    """Figures of one column, value by value."""
    known = sorted(float(value) for value in values if math.isfinite(value))
    counts = {"values": len(known), "missing": len(values) - len(known)}
    if not known:
        return counts
    mean = math.fsum(known) / len(known)
    figures = {"mean": mean, "minimum": known[0], "maximum": known[-1], "p50": statistics.median(known)}
    return counts | figures | {"standard_deviation": statistics.pstdev(known)}


def test_counts_and_figures_of_each_column_are_those_of_a_count_value_by_value() -> None:
    units = gappy()
    store(*units)
    found = run()
    assert (found.rows, found.units, found.sampled_rows) == (511, 3, 511)
    for place, column in enumerate(COLUMNS):
        expected = brute(np.concatenate([unit.values[:, place] for unit in units]))
        figures = found.columns[column.name].model_dump()
        assert {name: figures[name] for name in expected} == pytest.approx(expected)
        assert figures["missing_share"] == pytest.approx(expected["missing"] / 511)


def test_counts_and_figures_of_each_unit_are_those_of_a_count_value_by_value_however_few_rows_are_sampled() -> None:
    units = {unit.unit: unit for unit in gappy()}
    store(*units.values())
    run(rows=100)
    lines = list(csv.DictReader((FOLDER / "units.csv").read_text().splitlines()))
    assert len(lines) == len(units) * len(COLUMNS)
    for line in lines:
        place = [column.name for column in COLUMNS].index(line["column"])
        values = units[line["unit"]].values[:, place]
        expected = brute(values)
        assert int(line["rows"]) == len(values)
        assert {name: float(line[name]) for name in expected} == pytest.approx(expected)
        if expected["values"]:
            known = values[np.isfinite(values)].astype(np.float64)
            assert [float(line["p01"]), float(line["p99"])] == pytest.approx(np.quantile(known, [0.01, 0.99]))
        else:
            assert line["mean"] == line["p99"] == ""


def test_the_page_says_the_counts_of_the_record_and_of_each_unit() -> None:
    units = gappy()
    store(*units)
    found = run()
    page = (FOLDER / "index.html").read_text()
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in page.splitlines() if line.startswith("<tr><td")]
    rows = {line[0]: line for line in cells}
    for column in COLUMNS:
        figures = found.columns[column.name]
        assert rows[column.name][2:4] == [f"{figures.values:,}", f"{figures.missing:,}"]
    for unit in units:
        missing = int((~np.isfinite(unit.values)).sum())
        assert rows[unit.unit][4:7] == [str(len(unit.values)), "0", str(missing)]
    assert rows["n1"][8] == "load"
    assert "on all rows: 256 rows beside 255" in page


def test_rows_that_the_cadence_promises_and_that_are_absent_are_counted() -> None:
    dataset = store(node("n1", noise(200, seed=1)))
    late = dataset.units[0].model_copy(update={"end": dataset.units[0].end + timedelta(minutes=7)})
    assert (unit_table.absent_rows(dataset, dataset.units[0]), unit_table.absent_rows(dataset, late)) == (0, 7)


def test_a_spike_between_sampled_rows_is_in_the_maximum_and_in_the_picture() -> None:
    calm = node("n1", noise(5000, seed=1))
    dataset = store(calm)
    spike = replace(calm, values=calm.values.copy())
    spike.values[1234, 1] = 900.0
    before = plots.overview(dataset, [calm])
    assert plots.overview(dataset, [spike]) != before
    store(spike)
    found = run(rows=100)
    assert found.columns["load"].maximum == 900
    assert found.columns["load"].p99 < 20


@pytest.mark.parametrize("units", [1, 3, 250])
def test_the_sample_has_as_many_rows_as_asked_for_evenly_over_units_and_time(units: int) -> None:
    size = 3000 // units
    dataset = store(*(node(f"n{number}", noise(size, seed=number)) for number in range(units)), test_after=size // 2)
    found, _, sample = profiled(dataset, rows=100)
    assert found.sampled_rows == len(sample.values) == len(sample.later) == 100
    assert sample.later.mean() == pytest.approx(0.5, abs=0.05)


def test_infinite_values_count_as_missing_and_disturb_no_figure() -> None:
    values = noise(200, seed=1)
    values[[3, 150], 1] = [np.inf, -np.inf]
    store(node("n1", values))
    load = run().columns["load"]
    assert load.missing_share == pytest.approx(0.01)
    assert np.isfinite([load.mean, load.standard_deviation, load.minimum, load.maximum, load.p99]).all()


def test_a_column_that_was_never_recorded_has_no_figures_and_stops_nothing() -> None:
    values = noise(200, seed=1)
    values[:, 1] = np.nan
    store(node("n1", values), node("n2", values))
    load = run().columns["load"]
    assert load.missing_share == 1
    assert np.isnan([load.mean, load.standard_deviation, load.minimum, load.p50, load.maximum]).all()
    assert '"mean": null' in files.report_path("profile").read_text()
    assert "comparison.html" in (FOLDER / "index.html").read_text()


def test_a_constant_column_stops_nothing() -> None:
    values = noise(200, seed=1)
    values[:, 1] = 7.0
    store(node("n1", values))
    assert run().columns["load"].standard_deviation == 0


def test_a_column_recorded_in_one_part_alone_stops_nothing() -> None:
    values = noise(200, seed=1)
    values[:100, 1] = np.nan
    store(node("n1", values), test_after=100)
    assert run().columns["load"].missing_share == 0.5


def test_without_rows_on_both_sides_there_is_no_comparison_and_none_of_an_earlier_run() -> None:
    unit = node("n1", noise(200, seed=1))
    store(unit, test_after=100)
    run()
    assert (FOLDER / "comparison.html").exists()
    store(unit, test_after=0)
    run()
    assert sorted(files.digests(FOLDER)) == ["index.html", "overview.png", "units.csv"]
    assert "comparison.html" not in (FOLDER / "index.html").read_text()


def test_the_later_part_is_the_official_test_part_or_the_second_half() -> None:
    unit = node("n1", noise(200, seed=1))
    assert profiled(store(unit, test_after=150), rows=1000)[2].later.sum() == 50
    assert profiled(store(unit), rows=1000)[2].later.sum() == 100


def test_equal_rows_give_equal_bytes_in_every_file() -> None:
    labels = np.zeros(300)
    labels[[40, 200, 201]] = 1
    store(*(node(name, noise(300, seed=1), labels) for name in ("n1", "n2")), test_after=150, labelled=True)
    outputs = []
    for _ in range(2):
        run()
        outputs.append(files.digests(files.REPORTS))
    assert outputs[0] == outputs[1]
    assert sorted(outputs[0]) == [
        "profile.json",
        "profile/comparison.html",
        "profile/index.html",
        "profile/overview.png",
        "profile/units.csv",
    ]


def test_the_pages_fetch_nothing_and_name_no_folder(project: Path) -> None:
    store(node("n1", noise(200, seed=1)))
    run()
    for name in ("index.html", "comparison.html"):
        page = (FOLDER / name).read_text()
        assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
        assert not re.search(r"(?:@import\s+|url\(\s*)[\"']?(?:https?:)?//", page)
        assert str(project) not in page
    assert "of &lt;one&gt; node" in (FOLDER / "index.html").read_text()


def test_a_label_of_a_single_row_is_drawn() -> None:
    unit = node("n1", noise(20_000, seed=1), np.zeros(20_000))
    dataset = store(unit, labelled=True)
    labelled = replace(unit, target=unit.target.copy())
    labelled.target[777] = 1
    assert plots.overview(dataset, [unit]) != plots.overview(dataset, [labelled])


def test_a_few_units_are_shown_from_the_first_to_the_last() -> None:
    units = [node(f"n{number}", noise(20, seed=number)) for number in range(9)]
    assert plots.shown_units(store(*units)) == ["n0", "n4", "n8"]
    assert plots.shown_units(store(*units[:2])) == ["n0", "n1"]
    assert plots.shown_units(store(units[0])) == ["n0"]


def test_random_identifiers_are_counted_and_digests_stay_what_they_are() -> None:
    first, second = "0123456789abcdef" * 2, "01234567-89ab-cdef-0123-456789abcdef"
    digest = "0123456789abcdef" * 4
    page = comparison.numbered(f"metric_{first} {second} #{first}; {digest} 5{first}")
    assert page == f"metric_{0:032x} {1:032x} #{0:032x}; {digest} 5{first}"


def test_a_partition_that_changed_since_ingest_is_refused_before_anything_is_written() -> None:
    store(node("n1", noise(200, seed=1)))
    with (files.RAW / "n1.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(IntegrityError, match=r"n1\.parquet"):
        run()
    assert not files.REPORTS.exists()
