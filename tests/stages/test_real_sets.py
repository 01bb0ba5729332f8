"""Real telemetry, as its publishers left it, breaks no critical expectation: rules blame faults, not nature."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from project.task import TASK
from wattline import files
from wattline.errors import InputError
from wattline.params import IngestParams, ValidateParams
from wattline.records import Validation
from wattline.settings import Settings, settings
from wattline.stages import ingest, validate

ROOT = Path(__file__).parents[2]
REAL = Settings()
"""The environment as the tests were started with."""
SETS: dict[str, tuple[Any, dict[str, object]]] = {
    "smd": (TASK, {"machines": ["machine-1-5", "machine-3-5"]}),
    "jumpstarter": (TASK, {"services": ["service0", "service7", "service19"]}),
    "m100": (TASK, {"maximum_nodes": 60, "first_day": "2020-05-02"}),
}
SENSORS = {
    "Sys Power": {"column": "total_power_watts", "unit": "W"},
    "Ambient Temp": {"column": "ambient_degc", "unit": "degC"},
}
NODES = 40


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    if REAL.data_mirror is None:
        reason = "WATTLINE_DATA_MIRROR is not set: that real sets pass is not checked"
        if REAL.ci:
            pytest.fail(reason)
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATTLINE_DATA_MIRROR", str(REAL.data_mirror))
    settings.cache_clear()
    yield REAL.data_mirror
    settings.cache_clear()


def examined(source: str, options: dict[str, object], task: Any) -> Validation:
    ingest.run(ingest=IngestParams(source=source, options={source: options}), seed=7)
    try:
        validate.run(validate=ValidateParams(first_rows=2), task=task)
    except InputError as error:
        pytest.fail(str(error))
    return files.read_report("validate", Validation)


EXPECTED = {"wattline_varies", "expect_column_values_to_be_between"}
"""Columns that never change, and units with many missing rows, are what they are."""


@pytest.mark.parametrize("source", SETS)
def test_real_sets_pass(mirror, source):
    task, options = SETS[source]
    found = examined(source, options, task)
    assert {finding.rule for finding in found.findings} <= EXPECTED, found.findings


def test_real_days_pass_for_the_forecast_too(mirror, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from tabular.task import TASK as FORECAST

    examined("m100", SETS["m100"][1], FORECAST)


def test_a_day_of_a_real_cluster_with_a_blackout_passes(mirror):
    """Of the nodes that report both sensors, some; values as management controllers gave them."""
    table = parquet.read_table(mirror / "harvard_ipmi" / "power_temperature.parquet")
    nodes = pc.unique(table.filter(pc.equal(table["sensor"].cast("string"), "Sys Power"))["node"].cast("string"))
    kept = pc.is_in(table["node"].cast("string"), value_set=nodes[:NODES])
    parquet.write_table(table.filter(kept), "readings.parquet")
    examined("ipmi", {"path": "readings.parquet", "metrics": SENSORS, "timezone": "UTC"}, TASK)
