"""Job tables: energy equals what the formula says by hand, and what is missing or wrong is told, not filled in."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sources.conftest import run
from wattline import splits
from wattline.cli import app
from wattline.errors import InputError
from wattline.sources import open_source
from wattline.sources.jobs import energy, table
from wattline.sources.jobs.table import Form

START = datetime(2020, 5, 1, 12, tzinfo=UTC)


def job(number: object, watts: object, *, seconds: float = 60, **fields: object) -> dict[str, object]:
    return {
        "job_id": number, "start_time": START, "end_time": START + timedelta(seconds=seconds), "job_state": "COMPLETED",
        "num_nodes_alloc": 2, "node_power_consumption": watts, **fields,
    }  # fmt: skip


def write(path: Path, *jobs: dict[str, object]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(jobs)), path)
    return path


def test_energy_is_what_the_formula_says(tmp_path: Path) -> None:
    path = write(
        tmp_path / "jobs.parquet",
        job(1, [100, 200, 300, 400]),
        job(2, [100, None, 300, 500], seconds=80),
        job(3, [250], seconds=30),
    )
    out = tmp_path / "energy.parquet"
    summary = energy.run(path, Form(), out=out)
    rows = pq.read_table(out).to_pylist()
    assert [row["joules"] for row in rows[:2]] == [(150 + 250 + 350) * 20, 400 * 20]
    assert math.isnan(rows[2]["joules"])
    assert [row["covered_seconds"] for row in rows] == [60, 20, 0]
    assert [row["missing_samples"] for row in rows] == [0, 1, 0]
    assert rows[1]["joules_estimated"] == 400 * 80
    assert [row["peak_watts"] for row in rows] == [400, 500, 250]
    assert pq.read_schema(out).field("joules").metadata == {b"unit": b"J"}
    assert (summary.jobs, summary.without, summary.joules) == (2, 1, 15_000 + 8_000)
    assert summary.covered_share == (60 + 20) / (60 + 80)

    summary = energy.run(path, Form(), method="rectangle")
    assert summary.joules == (100 + 200 + 300) * 20 + (100 + 300 + 500) * 20 + 250 * 20
    assert summary.without == 0


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=1, max_size=8), min_size=1, max_size=6),
    st.floats(0.5, 60),
)
def test_it_equals_a_loop_over_each_job(lists: list[list[float | None]], cadence: float) -> None:
    offsets = np.cumsum([0, *map(len, lists)])
    watts = np.array([math.nan if value is None else value for values in lists for value in values])
    ends = np.array([int(len(values) * cadence * 1e9) for values in lists])
    jobs = table.Jobs(
        tuple(map(str, range(len(lists)))), np.zeros(len(lists), dtype=np.int64), ends, ("",) * len(lists),
        np.zeros(len(lists), dtype=np.int64), offsets, watts, table.Counter(),
    )  # fmt: skip
    found = energy.consumed(jobs, cadence_seconds=cadence)
    for place, values in enumerate(lists):
        pairs = [(a, b) for a, b in pairwise(values) if a is not None and b is not None]
        expected = sum((a + b) / 2 * cadence for a, b in pairs)
        np.testing.assert_allclose(found.joules[place], expected if pairs else math.nan, rtol=1e-12)
        np.testing.assert_allclose(found.covered_seconds[place], len(pairs) * cadence, rtol=1e-12)
        assert found.missing[place] == values.count(None)


def test_a_constant_power_is_that_power_times_the_time(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.parquet", *(job(number, [500.0] * 181, seconds=3600) for number in range(3)))
    for method in ("trapezoid", "rectangle"):
        summary = energy.run(path, Form(), method=method)
        assert summary.joules == 3 * 500 * 3600
        assert summary.covered_share == 1


def test_jobs_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    good = job(1, [100, 200, 300])
    path = write(
        tmp_path / "jobs.parquet",
        good, good, job(None, [1, 2]), job(2, [1, 2], end_time=None), job(3, [1, 2], seconds=0), job(4, []),
        job(5, None), job(6, [1] * 50), job(7, [100, -5, 300, 2e12]),
    )  # fmt: skip
    summary = energy.run(path, Form())
    assert dict(summary.refused) == {
        "no id": 1,
        "no start or no end": 1,
        "the end is not after the start": 1,
        "no power": 2,
        "more samples than its run time holds": 1,
        "a job that comes twice": 1,
        "samples: negative, or beyond any site's power": 2,
    }
    assert (summary.jobs, summary.without, summary.missing_samples) == (1, 1, 2)


def test_a_table_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "jobs.parquet", *(job(number, [number, number]) for number in range(10)))
    whole = energy.run(path, Form())
    monkeypatch.setattr(table, "JOBS_AT_ONCE", 3)
    assert [len(jobs.ids) for jobs in table.read(path, Form())] == [3, 3, 3, 1]
    assert energy.run(path, Form()) == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="start_time"), "no column 'start_time'"),
        (lambda frame: frame.assign(node_power_consumption=1.0), "each row must be a list"),
        (lambda frame: frame.assign(node_power_consumption=[["a"]]), "lists of .*string"),
        (lambda frame: frame.assign(node_power_consumption=[[[1.0, 2.0]]]), "lists of list"),
        (lambda frame: frame.assign(start_time=pd.Timestamp("2020-05-01")), "has no time zone"),
        (lambda frame: frame.assign(node_power_consumption=[[]]), "no job that can be used .no power: 1"),
        (lambda frame: frame[:0], "no job that can be used"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path: Path, change: object, words: str) -> None:
    path = tmp_path / "jobs.parquet"
    frame = pq.read_table(write(path, job(1, [1.0, 2.0]))).to_pandas()
    schema = pq.read_schema(path) if words.startswith("no job") else None
    pq.write_table(pa.Table.from_pandas(change(frame), schema=schema), path)
    out = tmp_path / "out.parquet"
    with pytest.raises(InputError, match=words):
        energy.run(path, Form(), out=out)
    assert not out.exists()
    path.write_text("job_id,power")
    with pytest.raises(InputError, match="is no Parquet file"):
        energy.run(path, Form())
    path.unlink()
    with pytest.raises(InputError, match="is not there"):
        energy.run(path, Form())


def test_the_verb_says_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.parquet", job(1, [100, None, 300, 400]), job(2, []))
    out = tmp_path / "energy.parquet"
    result = CliRunner().invoke(app, ["jobs", "energy", str(path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "1 with an energy" in result.output
    assert "7000 J" in result.output
    assert "33.3% of their run time; 1 of 4 samples are missing" in result.output
    assert "no power 1" in result.output
    assert pq.read_table(out).num_rows == 1


def test_a_job_is_a_unit_of_the_source(tmp_path: Path, project: Path) -> None:
    path = write(
        tmp_path / "jobs.parquet",
        job(1, [100, None, 300, 400]), job(2, [1]), job(3, [1, 2, 3], job_state="FAILED"), job(4, [5, 5, 5]),
    )  # fmt: skip
    source = open_source("jobs", {"path": str(path), "states": ["COMPLETED"]}, seed=0)
    first, second = source.units
    np.testing.assert_array_equal(first.series.values, [[100, 0], [300, 0], [400, 7000]])
    assert first.series.timestamps.tolist() == [
        int((START + timedelta(seconds=seconds)).timestamp()) * 10**9 for seconds in (0, 40, 60)
    ]
    assert (first.series.unit, first.series.group) == ("job-1", "COMPLETED")
    assert Counter(first.quarantined) + Counter(second.quarantined) == {"a job with too few samples": 1}
    run("jobs", path=str(path))
    assert [unit.name for unit in splits.read_dataset().units] == ["job-1", "job-3", "job-4"]


def test_jobs_after_the_last_unit_are_counted_too(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.parquet", job("1", [1, 2, 3]), job("2", [1]), job("a/b", [1, 2]), job("4", None))
    (unit,) = open_source("jobs", {"path": str(path)}, seed=0).units
    assert dict(unit.quarantined) == {
        "a job with too few samples": 1, "a job's id cannot be a file name": 1, "no power": 1,
    }  # fmt: skip


def test_a_table_without_a_unit_says_why(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.parquet", job(1, [1]), job(2, [2]))
    with pytest.raises(InputError, match="not taken were a job with too few samples: 2"):
        list(open_source("jobs", {"path": str(path)}, seed=0).units)
