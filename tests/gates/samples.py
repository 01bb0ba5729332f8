"""Good evidence, and ways to spoil it. Figures are binary fractions, so that limits can be met exactly."""

import math
import random
from datetime import UTC, datetime
from typing import Any

from wattline.energy.paired.figures import per_1000
from wattline.params import GatesParams, SessionParams
from wattline.records import (
    Block,
    Candidate,
    Champion,
    Column,
    Condition,
    Contender,
    Dataset,
    Energy,
    EnergyTest,
    Evaluation,
    Finding,
    Idle,
    Measurement,
    Metric,
    Performance,
    Requests,
    Sample,
    Score,
    SelfTest,
    Sensor,
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
SESSION = SessionParams(
    minimum_blocks=6,
    maximum_blocks=12,
    sample_seconds=1.0,
    idle_seconds=1.0,
    warm_up_seconds=1.0,
    timeout_seconds=10.0,
    idle_drift=0.1,
    other_cores=0.1,
)
SENSOR = Sensor(
    meter="rapl",
    sensor="rapl:package-0",
    boundary="CPU packages",
    scope="machine",
    provenance="measured",
    resolution_joules=0.001,
    minimum_seconds=0.5,
)
ORDERS = {"ABBA": (0, 3), "BAAB": (1, 2)}


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
    """A candidate that was measured, with no samples to prove it. Changes are those of its performance."""
    found = performance(CANDIDATE.digest, energy or joules(2.0, 1.0, 3.0), **changes)
    return Measurement(candidate=found, machine="sample", training_energy=trained(0.5, 0.25, 0.75))


def performance(digest: str, energy: Energy, /, **changes: Any) -> Performance:
    good = {
        "digest": digest,
        "latency_p50_ms": 1.0,
        "latency_p99_ms": 2.0,
        "throughput_per_second": 5000.0,
        "batch": 256,
        "energy_per_1000": energy,
    }
    return Performance.model_validate({**good, **changes})


def trained(kwh: float, low: float, high: float, **changes: Any) -> Energy:
    """Energy of a training, given in kWh."""
    return joules(kwh * 3.6e6, low * 3.6e6, high * 3.6e6, **changes)


def energy_test(ratio: float | None = 1.0, *, cost: float = 2.0, noise: float = 0.005, **changes: Any) -> EnergyTest:
    """A session in order, in which 1,000 predictions of the candidate take about `cost` joules above idle power.

    ratio: what it takes, in units of what the baseline takes; None for a session without one
    """
    draw = random.Random(3)
    alone = ratio is None
    costs = {"candidate": cost, "baseline": cost / (ratio or 1.0)}
    itself = "candidate" if alone else "baseline"

    def sample(contender: str) -> Sample:
        seconds = 2.0 + draw.uniform(-0.1, 0.1)
        read = 4.0 * seconds + costs[contender] * (1 + draw.gauss(0, noise))
        return Sample.model_validate(
            {
                "contender": contender,
                "joules": read,
                "low": read - 0.001,
                "high": read + 0.001,
                "seconds": seconds,
                "cpu_seconds": 1.0 + draw.uniform(-0.1, 0.1),
                "other_cores": 0.0,
            }
        )

    def block(kind: str, order: str) -> Block:
        who = ["candidate" if place in ORDERS[order] else "baseline" for place in range(4)]
        samples = [sample(itself if kind == "control" else name) for name in who]
        return Block.model_validate({"kind": kind, "order": order, "samples": samples})

    kinds = ["control"] if alone else ["pair", "control"]
    good = {
        "requests": Requests(sha256="78" * 32, windows=100, batch=10, passes=10),
        "headline": UP,
        "sensor": SENSOR,
        "self_test": SelfTest(
            meter="rapl", conditions=(Condition(name="monotone", holds=True, found="it is"),), seconds=1.0
        ),
        "contenders": (contender(),) if alone else (contender(), contender("baseline", digest=PROMOTED.digest)),
        "idle_before": Idle(watts=4.0, seconds=5.0, other_cores=0.0),
        "idle_after": Idle(watts=4.0, seconds=5.0, other_cores=0.0),
        "blocks": tuple(block(kind, order) for _ in range(3) for order in ORDERS for kind in kinds),
        "seed": 3,
        "seconds": 100.0,
        "overhead": 0.01,
    }
    return EnergyTest.model_validate({**good, **changes})


def contender(name: str = "candidate", **changes: Any) -> Contender:
    good = {"name": name, "digest": CANDIDATE.digest, "score": 0.875, "answers_sha256": "9a" * 32, "warm_up_passes": 3}
    return Contender.model_validate({**good, **changes})


def tested(test: EnergyTest, /, **changes: Any) -> Measurement:
    """What `measure` writes: figures that follow from the samples, and a champion where there is a baseline."""
    names = [one.name for one in test.contenders]
    candidate = performance(CANDIDATE.digest, per_1000(test, "candidate"))
    champion = performance(PROMOTED.digest or "", per_1000(test, "baseline")) if "baseline" in names else None
    found = measurement().model_copy(update={"candidate": candidate, "champion": champion, "test": test})
    return found.model_copy(update=changes)


NAN = math.nan
INF = math.inf
