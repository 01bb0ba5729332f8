"""wattline drift: folders of each kind, columns and units that differ, what is too little, and what it leaves."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from drift.test_two_sample import process
from wattline import files, partitions, splits
from wattline.cli import app
from wattline.drift import datasets, folders
from wattline.drift.folders import Span
from wattline.errors import InputError, IntegrityError
from wattline.params.monitoring import DriftParams
from wattline.records import Column, Dataset, Snapshot, SnapshotUnit, UnitRows
from wattline.task import FloatArray, Series

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (
    Column(name="power", unit="W"),
    Column(name="temperature", unit="degC"),
    Column(name="flag", unit="1"),
)
NAMES = tuple(column.name for column in COLUMNS)
PARAMS = DriftParams(risk=0.05, splits=100, minimum_rows=50, minimum_scores=50, maximum_share=0.1)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(count: int, *, units: int, seed: int, first: int = 0) -> dict[str, FloatArray]:
    generator = np.random.default_rng(seed)
    return {f"n{number}": process(count, generator) for number in range(first, first + units)}


def series(unit: str, values: FloatArray) -> Series:
    times = np.datetime64(START.replace(tzinfo=None), "ns") + np.arange(len(values)) * np.timedelta64(60, "s")
    return Series(unit, "rack", times, values, np.full(len(values), np.nan))


def raw(place: str, values: dict[str, FloatArray], *, columns: tuple[Column, ...] = COLUMNS) -> str:
    """A folder as `ingest` writes it."""
    units = tuple(
        UnitRows(
            name=unit,
            group="rack",
            rows=len(mine),
            start=START,
            end=START + timedelta(minutes=len(mine) - 1),
            sha256=files.write_series(Path(place), series(unit, mine), [column.name for column in columns]),
        )
        for unit, mine in values.items()
    )
    dataset = Dataset(
        name="cluster", source="parquet", home="local", licence="CC0", citation="none", cadence_seconds=60,
        columns=columns, units=units, labelled=False,
    )  # fmt: skip
    files.write_text(Path(place) / splits.DATASET, dataset.to_json())
    return place


def snapshot(values: dict[str, FloatArray]) -> str:
    """The same rows as a snapshot; its id."""
    building = Path("building")
    units = tuple(
        SnapshotUnit(
            name=unit,
            group="rack",
            partitions=tuple(
                partitions.write(building, part, NAMES, day=day) for day, part in partitions.by_day(series(unit, mine))
            ),
        )
        for unit, mine in values.items()
    )
    record = Snapshot(
        name="cluster", source="parquet", home="local", licence="CC0", citation="none", cadence_seconds=60,
        columns=COLUMNS, labelled=False, units=units,
    )  # fmt: skip
    files.write_text(building / partitions.RECORD, record.to_json())
    partitions.FOLDER.mkdir(parents=True)
    building.rename(partitions.FOLDER / record.id)
    return record.id


def compared(reference: str, current: str, **options: object) -> datasets.Compared:
    return datasets.compare(folders.find(reference), folders.find(current), PARAMS, seed=7, **options)


def shifted(values: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {unit: mine + np.array([1.5, 0, 0], np.float32) for unit, mine in values.items()}


def test_a_snapshot_is_held_against_raw_rows_and_gives_the_answer_of_raw_rows():
    raw("a", rows(2000, units=3, seed=1))
    new = rows(1800, units=3, seed=2)
    first = compared("a", raw("b", new)).found
    second = compared("a", snapshot(new)[:12]).found
    assert (first.outcome, second.current.kind, second.current.rows) == ("quiet", "snapshot", 5400)
    assert first.verdicts == second.verdicts


def test_a_changed_column_is_named_for_old_units_and_for_new_ones():
    raw("a", rows(2000, units=12, seed=1))
    new = shifted(rows(1800, units=24, seed=2))
    found = compared("a", raw("b", new)).found
    assert found.outcome == "drifted"
    assert {verdict.of: verdict.drift.drifted for verdict in found.verdicts} == {
        "units of both": ("power",),
        "new units": ("power",),
    }
    assert found.appeared == tuple(f"n{number}" for number in range(12, 24))


def test_new_units_of_the_same_kind_are_no_drift_and_vanished_ones_are_named():
    raw("a", rows(2000, units=12, seed=1))
    found = compared("a", raw("b", rows(1800, units=10, seed=2, first=12))).found
    assert (found.outcome, len(found.vanished), len(found.appeared)) == ("quiet", 12, 10)


def test_from_few_units_nobody_can_tell_whether_new_ones_differ():
    raw("a", rows(2000, units=2, seed=1))
    found = compared("a", raw("b", rows(1800, units=2, seed=2, first=2))).found
    assert found.outcome == "unknown"
    assert "5 are needed to judge new ones" in found.verdicts[0].reason


def test_too_few_rows_are_no_answer():
    found = compared(raw("a", rows(2000, units=2, seed=1)), raw("b", rows(10, units=2, seed=2))).found
    assert found.outcome == "unknown"
    assert "50 of both are needed" in found.verdicts[0].reason


def test_spans_of_one_dataset_can_be_held_against_each_other():
    values = {unit: np.concatenate([mine, mine[::-1] + 2]) for unit, mine in rows(1500, units=3, seed=1).items()}
    middle = START + timedelta(minutes=1500)
    found = compared(raw("a", values), "a", spans=(Span(end=middle), Span(start=middle))).found
    assert (found.outcome, found.reference.rows, found.current.rows) == ("drifted", 4500, 4500)
    assert found.reference.end == middle - timedelta(minutes=1)
    assert found.current.start == middle


def test_a_row_without_any_value_is_no_row():
    values = rows(1000, units=3, seed=1)
    values["n0"][100:200] = np.nan
    values["n1"][5:9] = np.inf
    assert compared(raw("a", values), "a").found.reference.rows == 3000 - 104


@pytest.mark.parametrize(
    ("columns", "names", "said"),
    [
        ((Column(name="power", unit="kW"), *COLUMNS[1:]), (), "'power' is in W in the reference and in kW"),
        ((Column(name="load", unit="1"), *COLUMNS[1:]), (), "'power' is not in the raw rows of cluster"),
        (COLUMNS, ("powr",), "'powr' is not in the raw rows of cluster; its columns: power, temperature, flag"),
    ],
    ids=["other unit", "other columns", "misspelt"],
)
def test_columns_that_do_not_fit_are_refused_by_name(columns: tuple[Column, ...], names: tuple[str, ...], said: str):
    raw("a", rows(300, units=2, seed=1))
    raw("b", rows(300, units=2, seed=2), columns=columns)
    with pytest.raises(InputError, match=re.escape(said)):
        compared("a", "b", columns=names)


def test_only_named_columns_are_compared():
    raw("a", rows(2000, units=3, seed=1))
    raw("b", shifted(rows(1800, units=3, seed=2)))
    found = compared("a", "b", columns=("flag", "temperature")).found
    assert (found.outcome, [one.name for one in found.verdicts[0].drift.columns]) == ("quiet", ["temperature", "flag"])


def test_rows_that_changed_after_they_were_written_are_refused():
    raw("a", rows(300, units=2, seed=1))
    with Path("a/n1.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(IntegrityError, match=r"n1\.parquet"):
        compared("a", "a")


def test_a_folder_of_something_else_and_an_empty_span_are_said():
    Path("other").mkdir()
    with pytest.raises(InputError, match=r"other holds neither dataset\.json"):
        folders.find("other")
    raw("a", rows(300, units=2, seed=1))
    with pytest.raises(InputError, match="has no recorded row from 2030"):
        compared("a", "a", spans=(Span(start=datetime(2030, 1, 1, tzinfo=UTC)), Span()))


@pytest.mark.parametrize(("change", "code", "said"), [(False, 0, "no drift"), (True, 1, "drifted")])
def test_the_verb_exits_with_the_answer_and_leaves_a_record_and_a_page_that_fetches_nothing(
    change: bool, code: int, said: str
):
    raw("a", rows(2000, units=3, seed=1))
    new = rows(1800, units=3, seed=2)
    raw("b", shifted(new) if change else new)
    Path("reports/drift").mkdir(parents=True)
    Path("reports/drift/mine.txt").write_text("kept")
    outputs = []
    for _ in range(2):
        answer = CliRunner().invoke(app, ["drift", "--reference", "a", "--current", "b"])
        assert answer.exit_code == code, answer.output
        assert f"answer       {said}" in answer.output
        outputs.append(files.digests(Path("reports/drift")))
    assert outputs[0] == outputs[1]
    assert sorted(outputs[0]) == ["drift.json", "index.html", "mine.txt"]
    page = Path("reports/drift/index.html").read_text()
    assert f"<title>Drift: {said}</title>" in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert 'src="data:image/png;base64,' in page
    assert json.loads(Path("reports/drift/drift.json").read_text())["seed"] == 7


def test_the_verb_has_a_code_of_its_own_for_no_answer():
    raw("a", rows(2000, units=2, seed=1))
    raw("b", rows(10, units=2, seed=2))
    assert CliRunner().invoke(app, ["drift", "--reference", "a", "--current", "b"]).exit_code == 3
