"""Good evidence, and ways to spoil it. Figures are binary fractions, so that limits can be met exactly."""

import math
from datetime import UTC, datetime
from typing import Any

from wattline.params import GatesParams
from wattline.records import (
    Candidate,
    Champion,
    Column,
    Dataset,
    Energy,
    Evaluation,
    Finding,
    Measurement,
    Metric,
    Performance,
    Score,
    Slice,
    UnitRows,
    Validation,
)

UP = Metric(name="vus_pr", unit="1", higher_is_better=True, description="volume under the PR surface")
DOWN = Metric(name="mae", unit="W", higher_is_better=False, description="mean absolute error")

LIMITS = GatesParams.model_validate(
    {
        "data": {"minimum_rows": 100, "minimum_units": 2, "maximum_warnings": 1},
        "quality": {"metric": "vus_pr", "limit": 0.5, "margin_over_baselines": 0.5},
        "champion": {"tolerance": 0.125},
        "slices": {"limit": 0.25, "minimum_rows": 10},
        "robustness": {"maximum_loss": 0.25},
        "latency": {"p99_ms": 8.0, "throughput_per_second": 1024.0},
        "energy": {
            "margin": 0.1,
            "alpha": 0.05,
            "power": 0.9,
            "budget_joules": 4.0,
            "training_budget_kwh": 1.0,
            "evidence": "measured",
        },
    }
)

DATASET = Dataset(
    name="sample",
    source="simulator",
    home="generated",
    licence="CC0-1.0",
    citation="none",
    cadence_seconds=60,
    columns=(Column(name="power_watts", unit="W"),),
    units=(
        UnitRows(
            name="n0",
            group="rack0",
            rows=100,
            start=datetime(2025, 1, 1, tzinfo=UTC),
            end=datetime(2025, 1, 2, tzinfo=UTC),
            sha256="ab" * 32,
        ),
    ),
    labelled=True,
)
CANDIDATE = Candidate(
    task="project",
    model="ridge",
    files={"model.onnx": "cd" * 32},
    data=DATASET.id,
    dataset="sample",
    params_sha256="ef" * 32,
    parameters=10,
    parity_max_abs=0.0,
    parity_windows=1,
)
PROMOTED = Champion(version="3", digest="12" * 32)


def score(value: float, low: float | None = None, high: float | None = None, *, units: int = 4) -> Score:
    """A score; without bounds its interval is a point."""
    return Score(value=value, low=value if low is None else low, high=value if high is None else high, units=units)


def finding(severity: str, rule: str = "expect_column_values_to_not_be_null") -> Finding:
    return Finding.model_validate(
        {"rule": rule, "column": "power_watts", "severity": severity, "count": 3, "share": 0.0625}
    )


def validation(**changes: Any) -> Validation:
    good = {"data": DATASET.id, "rows": 1000, "units": 4, "expectations": 12}
    return Validation.model_validate({**good, **changes})


def group(name: str, value: float, *, rows: int = 100, kind: str = "group", metric: str = "vus_pr") -> Slice:
    return Slice.model_validate({"kind": kind, "name": name, "rows": rows, "scores": {metric: value}})


def evaluation(**changes: Any) -> Evaluation:
    """A candidate that beats ridge by half, in a world without a champion."""
    good = {
        "candidate": CANDIDATE.digest,
        "champion": Champion(),
        "data": DATASET.id,
        "rows": 1000,
        "rows_sha256": "34" * 32,
        "headline": UP,
        "contenders": {
            "candidate": {"vus_pr": score(0.875, 0.625, 0.9375)},
            "random": {"vus_pr": score(0.0625)},
            "ridge": {"vus_pr": score(0.5)},
        },
        "slices": (group("rack0", 0.5), group("rack1", 0.375)),
        "robustness": {"noise": score(0.8125), "missing": score(0.75)},
    }
    return Evaluation.model_validate({**good, **changes})


def power(**changes: Any) -> Evaluation:
    """The same in a metric where less is better: a candidate at 8 W, ridge at 16 W."""
    good = {
        "headline": DOWN,
        "contenders": {
            "candidate": {"mae": score(8.0, 7.0, 10.0)},
            "persistence": {"mae": score(32.0)},
            "ridge": {"mae": score(16.0)},
        },
        "slices": (group("rack0", 9.0, metric="mae"), group("rack1", 12.0, metric="mae")),
        "robustness": {"noise": score(8.5), "missing": score(9.0)},
    }
    return evaluation(**{**good, **changes})


def joules(value: float, low: float, high: float, **changes: Any) -> Energy:
    good = {
        "joules": value,
        "interval": (low, high),
        "provenance": "measured",
        "sensor": "rapl:package-0",
        "boundary": "CPU packages",
        "seconds": 2.0,
    }
    return Energy.model_validate({**good, **changes})


def measurement(energy: Energy | None = None, **changes: Any) -> Measurement:
    good = {
        "digest": CANDIDATE.digest,
        "latency_p50_ms": 1.0,
        "latency_p99_ms": 2.0,
        "throughput_per_second": 5000.0,
        "batch": 256,
        "energy_per_1000": energy or joules(2.0, 1.0, 3.0),
    }
    return Measurement(candidate=Performance.model_validate({**good, **changes}), machine="sample")


NAN = math.nan
INF = math.inf
