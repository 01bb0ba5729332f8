"""A machine, a meter and contenders in a time of their own: a session takes milliseconds, and anything can go wrong."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattline.energy.meters import MeterError
from wattline.energy.paired.machine import Clocks
from wattline.energy.paired.session import Plan
from wattline.energy.paired.worker import Answered, Entrant, Name
from wattline.params import SessionParams
from wattline.records import Condition, Energy, EnergyTest, Metric, Requests, SelfTest
from wattline.task import Outputs

PARAMS = SessionParams(
    minimum_blocks=4,
    maximum_blocks=8,
    sample_seconds=0.2,
    idle_seconds=1.0,
    warm_up_seconds=20.0,
    timeout_seconds=10.0,
    idle_drift=0.1,
    other_cores=0.1,
)
HEADLINE = Metric(name="skill", unit="1", higher_is_better=True, description="skill")
REQUESTS = Requests(sha256="a" * 64, windows=100, batch=32, passes=1)


@dataclass
class World:
    """What time it is, and what everything uses.

    seconds: since the beginning
    busy: CPU time of ours
    others: cores that something else keeps busy
    """

    seconds: float = 0.0
    busy: float = 0.0
    others: float = 0.0
    stepped: float = 0.0
    suspended: float = 0.0
    events: list[str] = field(default_factory=list)

    def clocks(self) -> Clocks:
        return Clocks(
            wall=1e9 + self.seconds + self.stepped, awake=self.seconds - self.suspended, elapsed=self.seconds + 5
        )

    def busy_seconds(self) -> float:
        return self.busy + self.others * self.seconds

    def own_seconds(self, processes: Sequence[int]) -> float:
        assert len(set(processes)) == len(processes)
        return self.busy

    def sleep(self, seconds: float) -> None:
        self.events.append("sleep")
        self.seconds += seconds


@dataclass
class Meter:
    """Reads 10 W of idling and 20 W for each busy core."""

    world: World
    name: str = "scripted"
    minimum_seconds: float = 0.1
    change: Callable[[int, dict[str, Any]], None] = lambda reading, values: None
    readings: int = 0
    started: bool = False

    def start(self) -> None:
        self._began = (self.world.seconds, self.world.busy)
        self.started = True

    def stop(self) -> Energy:
        self.started = False
        seconds, busy = self.world.seconds - self._began[0], self.world.busy - self._began[1]
        self.readings += 1
        joules = 10 * seconds + 20 * busy
        values = {
            "joules": joules,
            "interval": (joules - 0.001, joules + 0.001),
            "provenance": "measured",
            "sensor": "scripted",
            "boundary": "the world",
            "seconds": seconds,
            "scope": "machine",
            "resolution_joules": 0.001,
        }
        self.change(self.readings, values)
        return Energy(**values)


@dataclass
class Worker:
    """Answers one pass in `pass_seconds` of CPU time; what the first pass takes more is halved every `cold` passes.

    trouble: called with the number of the call before it is answered
    """

    world: World
    name: str
    pid: int
    pass_seconds: float = 0.01
    cold: float = 2.0
    said: str = "answers"
    trouble: Callable[["Worker", int], None] = lambda worker, call: None
    passes: int = 0
    calls: int = 0
    stalls: float = 0.0
    stopped: bool = False

    def answer(self, passes: int) -> Answered:
        assert not self.stopped
        self.calls += 1
        self.world.events.append(f"{self.name}{self.pid}")
        self.trouble(self, self.calls)
        seconds = 0.0
        for _ in range(passes):
            seconds += self.pass_seconds * (1 + 2 ** (-self.passes / self.cold))
            self.passes += 1
        self.world.seconds += seconds + self.stalls
        self.world.busy += seconds
        return Answered(seconds + self.stalls, seconds, 0.0)

    def answers_sha256(self) -> str:
        return hashlib.sha256(self.said.encode()).hexdigest()

    def answers(self) -> Outputs:
        return {"score": np.zeros(3)}

    def stop(self) -> None:
        self.stopped = True


class Stage:
    """Everything that a session needs, with the processes it started."""

    def __init__(self, *names: Name, **options: Mapping[str, Any]) -> None:
        self.world = World()
        self.meter = Meter(self.world)
        self.workers: list[Worker] = []
        self.entrants = [self._entrant(name, options.get(name, {})) for name in names or ("candidate", "baseline")]
        self.judged: list[EnergyTest] = []
        self.answer: Callable[[EnergyTest], bool] = lambda test: False

    def plan(self, **changes: Any) -> Plan:
        values: dict[str, Any] = {
            "requests": REQUESTS,
            "headline": HEADLINE,
            "params": PARAMS,
            "seed": 7,
            "looks": (4, 8),
            "more": self._more,
        }
        return Plan(**(values | changes))

    def _more(self, test: EnergyTest) -> bool:
        self.judged.append(test)
        return self.answer(test)

    def _entrant(self, name: Name, options: Mapping[str, Any]) -> Entrant:
        def load() -> Worker:
            self.workers.append(Worker(self.world, name, 100 + len(self.workers), **options))
            return self.workers[-1]

        return Entrant(name=name, digest=name[0] * 64, load=load, score=lambda answers: 0.5)


def passes(meter: Any) -> SelfTest:
    return SelfTest(meter=meter.name, conditions=(Condition(name="it moves", holds=True, found="1 J"),), seconds=1)


def fails(meter: Any) -> SelfTest:
    return SelfTest(meter=meter.name, conditions=(Condition(name="it moves", holds=False, found="0 J"),), seconds=1)


def vanishes(meter: Any) -> SelfTest:
    raise MeterError("the counter is gone; look for it")
