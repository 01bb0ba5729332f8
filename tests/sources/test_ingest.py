"""The ingest stage: rows, their record and a summary, the same bytes every time."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from wattline import files, splits
from wattline.stages.ingest import Ingestion

from .conftest import SMALL, run


def test_it_writes_a_file_for_each_unit_and_a_record_that_fits(project):
    run("simulator", **SMALL)
    dataset = splits.read_dataset()
    assert sorted(path.name for path in Path("data/raw").iterdir()) == [
        "dataset.json",
        "node-0000.parquet",
        "node-0001.parquet",
    ]
    for unit in dataset.units:
        table = parquet.read_table(files.RAW / f"{unit.name}.parquet")
        assert table.column_names == ["timestamp", *(column.name for column in dataset.columns), "target"]
        assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
        assert (unit.rows, unit.start, unit.end) == (
            len(table),
            table["timestamp"][0].as_py(),
            table["timestamp"][-1].as_py(),
        )
        assert files.sha256(files.RAW / f"{unit.name}.parquet") == unit.sha256


def test_its_summary_agrees_with_the_rows(project):
    run("simulator", **SMALL, missing_share=0.2)
    dataset = splits.read_dataset()
    summary = files.read_report("ingest", Ingestion)
    units = [splits.read_raw(dataset, unit.name) for unit in dataset.units]
    target = np.concatenate([unit.target for unit in units])
    values = np.concatenate([unit.values for unit in units])
    assert summary.data == dataset.id
    assert (summary.rows, summary.units, summary.groups, summary.columns) == (len(values), 2, 2, values.shape[1])
    assert summary.missing_values_share == pytest.approx(np.isnan(values).mean())
    assert summary.missing_rows_share == pytest.approx(1 - len(values) / (2 * 720))
    assert summary.labelled_rows == np.count_nonzero(~np.isnan(target))
    assert summary.anomalous_share == pytest.approx(np.nanmean(target))


def test_two_runs_write_the_same_bytes_and_replace_each_other(project):
    run("simulator", **SMALL)
    first = files.digests(Path("data")) | files.digests(Path("reports"))
    run("simulator", **SMALL, missing_share=0.1)
    run("simulator", **SMALL)
    assert files.digests(Path("data")) | files.digests(Path("reports")) == first


def test_a_unit_that_is_gone_is_gone_from_the_folder(project):
    run("simulator", **SMALL)
    run("simulator", **{**SMALL, "nodes": 1})
    assert not (files.RAW / "node-0001.parquet").exists()


def test_an_unlabelled_summary_has_no_share(project):
    Path("rows.csv").write_text("timestamp,power\n2026-01-05T00:00:00Z,1\n2026-01-05T00:01:00Z,2\n")
    run("csv", path="rows.csv", column_units={"power": "W"}, cadence_seconds=60, licence="MIT", citation="mine")
    assert '"anomalous_share": null' in Path("reports/ingest.json").read_text()


def test_nothing_of_this_machine_is_in_the_record(project):
    Path("rows.csv").write_text("timestamp,power\n2026-01-05T00:00:00Z,1\n2026-01-05T00:01:00Z,2\n")
    run("csv", path=str(Path("rows.csv").resolve()), column_units={"power": "W"}, cadence_seconds=60, licence="MIT",
        citation="mine")  # fmt: skip
    assert str(project) not in (files.RAW / "dataset.json").read_text() + Path("reports/ingest.json").read_text()
