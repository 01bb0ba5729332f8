"""What notebooks say of rows and reports is true, also of rows that nobody hoped for."""

import dataclasses
from datetime import UTC, datetime

import builders
import numpy as np
import pytest

from wattline import files
from wattline.errors import InputError
from wattline.notebooks import anomaly, results, telemetry
from wattline.records import Dataset, UnitRows
from wattline.task import Series

MINUTE = np.timedelta64(60, "s")
START = np.datetime64("2026-01-01T00:00:00", "ns")


def write(*units: Series, labelled: bool = True) -> None:
    """Rows as `ingest` leaves them in the current folder."""
    names = [column.name for column in builders.COLUMNS]
    records = tuple(
        UnitRows(
            name=one.unit,
            group=one.group,
            rows=len(one.timestamps),
            start=datetime(2026, 1, 1, tzinfo=UTC),
            end=datetime(2026, 1, 2, tzinfo=UTC),
            sha256=files.write_series(files.RAW, one, names),
        )
        for one in units
    )
    fields = builders.DATASET.model_dump() | {"units": records, "labelled": labelled}
    files.write_text(files.RAW / "dataset.json", Dataset.model_validate(fields).to_json())


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def without(series: Series, *rows: int) -> Series:
    """The series, in which these rows were never recorded."""
    kept = np.setdiff1d(np.arange(len(series.timestamps)), rows)
    return dataclasses.replace(
        series, timestamps=series.timestamps[kept], values=series.values[kept], target=series.target[kept]
    )


def test_gaps_are_counted_as_they_are():
    write(builders.series(100, unit="whole"), without(builders.series(100, unit="torn"), 10, 50, 51, 52))
    found = telemetry.survey(rows_per_unit=7)
    whole, torn = found.units
    assert (whole.gaps, whole.absent, len(whole.spans)) == ((), 0, 1)
    assert (len(torn.gaps), torn.absent, len(torn.spans)) == (2, 4, 3)
    assert telemetry.seconds(torn.gaps[1]) == 4 * 60
    assert telemetry.units(found, shown=1).rows[0][:6] == ("torn", "rack-1", 96, 2, 4, 240.0)
    assert "4 of 200 promised rows are absent, in 2 gaps of 2 units" in telemetry.recorded(found, shown=5).words
    assert len(found.samples) == 14


def test_the_longest_labelled_span_is_found_and_the_column_that_moves():
    series = builders.series(200, unit="odd")
    values, target = np.nan_to_num(series.values), np.zeros(200)
    target[[20, *range(100, 110)]] = 1
    values[100:110, 1] += 1000
    write(builders.series(50, unit="even"), dataclasses.replace(series, values=values, target=target))
    found = telemetry.survey(rows_per_unit=100)
    where = anomaly.find(found, unit="")
    assert (where.unit, where.span) == ("odd", (series.timestamps[100], series.timestamps[109]))
    assert "longest of 2 labelled spans, 540 s" in where.why
    picture = anomaly.around(found, where, shown=1, hours=0.5)
    assert picture.png.startswith(b"\x89PNG")
    assert picture.png == anomaly.around(found, where, shown=1, hours=0.5).png
    with pytest.raises(InputError, match="there is no unit 'nobody'; units: even, odd"):
        anomaly.find(found, unit="nobody")


def test_rows_without_labels_columns_without_values_and_a_single_row_are_shown_too():
    series = builders.series(30, unit="plain")
    values = series.values.copy()
    values[:, 0] = np.nan
    values[7, 2] = 500
    write(
        dataclasses.replace(series, values=values, target=np.full(30, np.nan)),
        builders.series(1, unit="single"),
        labelled=False,
    )
    found = telemetry.survey(rows_per_unit=1000)
    where = anomaly.find(found, unit="plain")
    assert where.span == (series.timestamps[7], series.timestamps[7])
    assert "no row is labelled" in where.why
    for picture in (
        telemetry.recorded(found, shown=9),
        telemetry.distributions(found, shown=9),
        anomaly.around(found, where, shown=9, hours=1),
    ):
        assert picture.png.startswith(b"\x89PNG")
    assert all("nan" not in line for line in repr(telemetry.columns(found)).splitlines())


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<b onmouseover=x>"])
def test_names_from_data_are_text_and_no_html(text):
    write(builders.series(5))
    found = telemetry.survey(rows_per_unit=5)
    odd = dataclasses.replace(found, dataset=found.dataset.model_copy(update={"notes": (text,)}))
    shown = telemetry.facts(odd)._repr_html_()
    assert text not in shown
    assert "&lt;" in shown


def test_reports_of_another_candidate_are_not_shown_as_this_ones():
    builders.write_candidate(files.CANDIDATE)
    with pytest.raises(InputError, match=r"reports/decide.json is missing; run `dvc repro`"):
        results.read()
