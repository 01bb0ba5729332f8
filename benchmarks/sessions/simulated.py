"""A session as it would have gone: blocks of readings with replayed noise, judged at every look."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sessions.noise import Floats, Noise
from wattline.energy.paired import Judgement, judge, looks
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

LIMITS = EnergyLimits.model_validate(
    {"margin": 0.1, "alpha": 0.05, "power": 0.9, "budget_joules": 20, "training_budget_kwh": 1, "evidence": "measured"}
)
SESSION = SessionParams.model_validate(
    {
        "minimum_blocks": 6,
        "maximum_blocks": 32,
        "sample_seconds": 0.5,
        "idle_seconds": 1.0,
        "warm_up_seconds": 20.0,
        "timeout_seconds": 60.0,
        "idle_drift": 0.1,
        "other_cores": 0.1,
    }
)
IDLE_WATTS, WATTS, SECONDS = 40.0, 60.0, 0.5
STEP_JOULES = 1e-4
CONTROLS = SESSION.minimum_blocks
BLOCKS = CONTROLS + SESSION.maximum_blocks


@dataclass
class Readings:
    """Everything that a longest session would read; a fault changes it in place.

    joules, seconds, cpu_seconds, other_cores: (blocks, 4) in the order in which they are taken
    control: (blocks,) whether a block is one
    first: (blocks,) whether A is first
    candidate: (blocks, 4) whose turn it is
    changes: to the fields of the session's record
    """

    joules: Floats
    seconds: Floats
    cpu_seconds: Floats
    other_cores: Floats
    control: np.ndarray[Any, np.dtype[np.bool_]]
    first: np.ndarray[Any, np.dtype[np.bool_]]
    candidate: np.ndarray[Any, np.dtype[np.bool_]]
    changes: dict[str, Any] = field(default_factory=dict)


Fault = Callable[[Readings, np.random.Generator], None]


def readings(
    random: np.random.Generator, noise: Noise, *, ratio: float = 1.0, spread: float, bias: float = 0.0
) -> Readings:
    """What a whole machine's meter reads while the candidate needs `ratio` times the baseline's energy and time.

    spread: coefficient of variation of net energy
    bias: log-ratio of the second process of each kind to the first, which no block can average out
    """
    control = np.arange(BLOCKS) % 2 == 0
    control[2 * CONTROLS :] = False
    first = random.random(BLOCKS) < 0.5
    is_a = first[:, None] == np.array([True, False, False, True])
    candidate = is_a & ~control[:, None]
    work = np.where(candidate, ratio, 1.0)
    net = noise.replay(random, BLOCKS * 4, spread=spread).reshape(BLOCKS, 4) + bias * is_a
    pace = noise.replay(random, BLOCKS * 4, spread=spread).reshape(BLOCKS, 4)
    seconds = SECONDS * work * np.exp(pace)
    joules = IDLE_WATTS * seconds + WATTS * SECONDS * work * np.exp(net)
    quiet = np.full((BLOCKS, 4), 0.01)
    return Readings(
        np.round(joules / STEP_JOULES) * STEP_JOULES, seconds, seconds.copy(), quiet, control, first, candidate
    )


def answer(found: Readings, *, limits: EnergyLimits = LIMITS) -> Judgement:
    """Judge at every look until one ends the session."""
    blocks = [_block(found, place) for place in range(BLOCKS)]
    for pairs in looks(SESSION.minimum_blocks, SESSION.maximum_blocks):
        judgement = judge(
            record(found, tuple(blocks[: CONTROLS + pairs])),
            limits,
            tolerance=0.0,
            maximum_blocks=SESSION.maximum_blocks,
            session=SESSION,
        )
        if not judgement.more:
            break
    return judgement


def record(found: Readings, blocks: tuple[Block, ...]) -> EnergyTest:
    good: dict[str, Any] = {
        "requests": Requests(sha256="00" * 32, windows=500, batch=64, passes=100),
        "headline": Metric(name="vus_pr", unit="1", higher_is_better=True, description="simulated"),
        "sensor": Sensor(
            meter="rapl",
            sensor="rapl:package-0",
            boundary="CPU packages of this machine",
            scope="machine",
            provenance="measured",
            resolution_joules=STEP_JOULES,
            minimum_seconds=0.2,
        ),
        "self_test": SelfTest(meter="rapl", conditions=(Condition(name="moves", holds=True, found="yes"),), seconds=1),
        "contenders": tuple(
            Contender(name=name, digest=name, score=0.5, answers_sha256="11" * 32, warm_up_passes=1)
            for name in ("candidate", "baseline")
        ),
        "idle_before": Idle(watts=IDLE_WATTS, seconds=1, other_cores=0.01),
        "idle_after": Idle(watts=IDLE_WATTS, seconds=1, other_cores=0.01),
        "blocks": blocks,
        "seed": 0,
        "seconds": 60,
        "overhead": 0.01,
    }
    return EnergyTest(**good | found.changes)


def _block(found: Readings, place: int) -> Block:
    return Block(
        kind="control" if found.control[place] else "pair",
        order="ABBA" if found.first[place] else "BAAB",
        samples=tuple(_sample(found, (place, turn)) for turn in range(4)),
    )


def _sample(found: Readings, place: tuple[int, int]) -> Sample:
    joules = float(found.joules[place])
    return Sample(
        contender="candidate" if found.candidate[place] else "baseline",
        joules=joules,
        low=joules - STEP_JOULES,
        high=joules + STEP_JOULES,
        seconds=float(found.seconds[place]),
        cpu_seconds=float(found.cpu_seconds[place]),
        other_cores=float(found.other_cores[place]),
    )
