"""A sound session, and ways to spoil it. Energies are binary fractions, so that limits can be met exactly."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from wattline.params import EnergyLimits, SessionParams
from wattline.records import (
    Block,
    Condition,
    Contender,
    EnergyTest,
    Idle,
    Metric,
    Requests,
    Sample,
    SelfTest,
    Sensor,
)

UP = Metric(name="vus_pr", unit="1", higher_is_better=True, description="volume under the PR surface")
DOWN = Metric(name="mae", unit="W", higher_is_better=False, description="mean absolute error")
IDLE_WATTS, SECONDS, NET_JOULES = 32.0, 0.5, 32.0
IDLE_JOULES = IDLE_WATTS * SECONDS

LIMITS = EnergyLimits.model_validate(
    {"margin": 0.1, "alpha": 0.05, "power": 0.9, "budget_joules": 4, "training_budget_kwh": 1, "evidence": "measured"}
)
ANY = LIMITS.model_copy(update={"evidence": "estimated"})
SESSION = SessionParams.model_validate(
    {
        "minimum_blocks": 6,
        "maximum_blocks": 32,
        "sample_seconds": 0.25,
        "idle_seconds": 1,
        "warm_up_seconds": 10,
        "timeout_seconds": 10,
        "idle_drift": 0.125,
        "other_cores": 0.25,
    }
)
SENSOR = Sensor(
    meter="rapl",
    sensor="rapl:package-0",
    boundary="CPU packages",
    scope="machine",
    provenance="measured",
    minimum_seconds=0.25,
    parameters={"refresh": "1 ms"},
)
SELF_TEST = SelfTest(meter="rapl", conditions=(Condition(name="moves", holds=True, found="by 3 J"),), seconds=1)


def idle(watts: float = IDLE_WATTS, *, other_cores: float = 0.0) -> Idle:
    return Idle(watts=watts, seconds=1.0, other_cores=other_cores)


def contender(name: str, score: float = 0.5, **changes: Any) -> Contender:
    good = {"name": name, "digest": name, "score": score, "answers_sha256": "ab" * 32, "warm_up_passes": 1}
    return Contender.model_validate(good | changes)


BOTH = (contender("candidate"), contender("baseline"))
ALONE = (contender("candidate"),)


def sample(name: str = "baseline", joules: float = IDLE_JOULES + NET_JOULES, **changes: Any) -> Sample:
    """A reading; what a record would not hold is put in anyway, as nothing but judgement must depend on that."""
    good = {"contender": name, "joules": 1.0, "low": 1.0, "high": 1.0, "seconds": SECONDS, "cpu_seconds": SECONDS}
    bounds = {"joules": joules, "low": joules, "high": joules}
    return Sample.model_validate(good | {"other_cores": 0.0}).model_copy(update=bounds | changes)


Alter = Callable[[int, Sample], dict[str, Any]]


def session(
    *,
    pairs: int = 6,
    controls: int = 6,
    ratio: float = 1.0,
    spread: float = 0.01,
    drift: float = 0.0,
    bias: float = 0.0,
    alter: Alter | None = None,
    seed: int = 3,
    **changes: Any,
) -> EnergyTest:
    """Blocks of pairs and controls in turns.

    spread: standard deviation of the log of a reading
    drift: what each reading adds to the log of the next
    bias: what the first process of a control adds to the log
    alter: changes to a sample, by its number, counted from 0
    """
    random, number, blocks = Random(seed), 0, []
    both = changes.get("contenders", BOTH) != ALONE
    kinds = (
        ["pair", "control"] * min(pairs, controls) + ["pair"] * (pairs - controls) + ["control"] * (controls - pairs)
    )
    for kind in kinds:
        order = random.choice(("ABBA", "BAAB"))
        found = []
        for letter in order:
            name = "candidate" if not both or (kind == "pair" and letter == "A") else "baseline"
            log = random.gauss(0, spread) + number * drift + (bias if kind == "control" and letter == "A" else 0.0)
            net = NET_JOULES * math.exp(log) * (ratio if kind == "pair" and letter == "A" else 1.0)
            one = sample(name, IDLE_JOULES + net)
            found.append(one.model_copy(update=alter(number, one)) if alter else one)
            number += 1
        blocks.append(Block.model_construct(kind=kind, order=order, samples=tuple(found)))
    return record(tuple(blocks), **changes)


def record(blocks: tuple[Block, ...] = (), **changes: Any) -> EnergyTest:
    good = {
        "requests": Requests(sha256="cd" * 32, windows=500, batch=64, passes=4),
        "headline": UP,
        "sensor": SENSOR,
        "self_test": SELF_TEST,
        "contenders": BOTH,
        "idle_before": idle(),
        "idle_after": idle(),
        "blocks": blocks,
        "seed": 7,
        "seconds": 60.0,
        "overhead": 0.01,
        "problem": None,
    }
    return EnergyTest.model_construct(**good | changes)


def sensor(**changes: Any) -> Sensor:
    return SENSOR.model_copy(update=changes)


def reading(number: int, **changes: Any) -> Alter:
    """One sample is different."""
    return lambda place, _: changes if place == number else {}


def every(**changes: Any) -> Alter:
    return lambda place, found: changes


def joules(value: float) -> dict[str, float]:
    return {"joules": value, "low": value, "high": value}
