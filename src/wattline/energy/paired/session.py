"""A session of the paired energy test: everything is observed, and nothing is concluded.

The order: self-test of the meter, loading, idle power, warming up, rounds of one block of pairs and one of controls
until no more are needed, idle power. Whatever breaks ends it, and is its `problem`.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from wattline.energy.meters import Meter, MeterError
from wattline.energy.paired.machine import Host, Machine
from wattline.energy.paired.metering import Metering
from wattline.energy.paired.warm_up import Warm, warm_up
from wattline.energy.paired.worker import Answered, BrokenError, Entrant, Name, Worker
from wattline.params import SessionParams
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
)

ORDERS: tuple[Literal["ABBA", "BAAB"], ...] = ("ABBA", "BAAB")
SUSPENDED_SECONDS = 0.5
"""Longest time of a sample that neither the work, nor waiting for a core, nor what warm-up showed explains [s]."""
HEADROOM = 1.1
"""How much longer samples are planned than they must be, as a contender may still become faster."""
WARM_UP_STEPS = 4
"""Steps of warm-up in the time of one sample."""

Say = Callable[[str, float, Mapping[str, float]], None]


@dataclass(frozen=True)
class Plan:
    """What is fixed before a session begins.

    requests: what is asked; its `passes` are found out
    headline: metric of the scores
    looks: numbers of rounds after which `more` is asked; a candidate alone has the first one only
    more: whether further blocks could still change the answer
    evidence: where it is "measured", a session ends before its samples when the meter only estimates
    """

    requests: Requests
    headline: Metric
    params: SessionParams
    seed: int
    looks: Sequence[int]
    more: Callable[[EnergyTest], bool]
    evidence: Literal["measured", "estimated"] = "estimated"


@dataclass
class Pit:
    """One process of a contender, at work.

    stalled_share: of its time that is explained by nothing but how it works, e.g. on an accelerator
    """

    name: Name
    worker: Worker
    stalled_share: float = 0.0


@dataclass
class Observed:
    """What a session has found out so far; see `EnergyTest`."""

    requests: Requests
    self_test: SelfTest | None = None
    contenders: dict[Name, Contender] = field(default_factory=dict)
    idle_before: Idle | None = None
    idle_after: Idle | None = None
    blocks: list[Block] = field(default_factory=list)
    problem: str | None = None


def hold(
    entrants: Sequence[Entrant],
    *,
    plan: Plan,
    meter: Meter,
    self_test: Callable[[Meter], SelfTest],
    machine: Machine | None = None,
    say: Say,
) -> EnergyTest:
    """Hold a session between the candidate and a baseline, or with the candidate alone.

    entrants: the candidate first
    say: called with what is done, the share that is done (0..1) and figures
    Raises InputError when a contender cannot be loaded. Whatever else breaks is the `problem` of the session. No
    process is left in any case.
    """
    session = Session(entrants, plan=plan, meter=meter, machine=machine or Host(), say=say)
    try:
        session.run(self_test)
    except (BrokenError, MeterError) as error:
        session.observed.problem = str(error)
    finally:
        session.stop()
    return session.test()


class Session:
    """A session under way: the processes that must be stopped, and what was observed."""

    def __init__(self, entrants: Sequence[Entrant], *, plan: Plan, meter: Meter, machine: Machine, say: Say) -> None:
        self.observed = Observed(plan.requests)
        self._entrants, self._plan, self._say = entrants, plan, say
        self._meter = meter
        self._metering = Metering(meter, machine, processes=lambda: [pit.worker.pid for pit in self._all()])
        self._pits: dict[Name, list[Pit]] = {}
        self._looks = sorted(plan.looks)[: None if len(entrants) > 1 else 1]
        self._done = 0.0
        self._random = random.Random(plan.seed)  # noqa: S311  # an order, no secret
        self._began: float | None = None
        self._ended: float | None = None
        self._warming_seconds = 0.0

    def run(self, self_test: Callable[[Meter], SelfTest]) -> None:
        """Raises BrokenError or MeterError when something broke; what was observed until then stays."""
        self._test_meter(self_test)
        self._load()
        self._began = self._metering.now()
        try:
            self._observe()
        finally:
            self._ended = self._metering.now()

    def stop(self) -> None:
        for pit in self._all():
            pit.worker.stop()

    def test(self) -> EnergyTest:
        """Everything observed so far."""
        seen = self.observed
        ended = self._metering.now() if self._ended is None else self._ended
        seconds = ended - self._began if self._began is not None else 0.0
        useful = self._warming_seconds + self._metering.read_seconds
        return EnergyTest(
            requests=seen.requests,
            headline=self._plan.headline,
            sensor=self._metering.sensor,
            self_test=seen.self_test or SelfTest(meter=self._meter.name, conditions=(), seconds=0),
            contenders=tuple(seen.contenders.values()),
            idle_before=seen.idle_before,
            idle_after=seen.idle_after,
            blocks=tuple(seen.blocks),
            seed=self._plan.seed,
            seconds=seconds,
            overhead=max(0.0, 1 - useful / seconds) if seconds else float("nan"),
            problem=seen.problem,
        )

    def _test_meter(self, self_test: Callable[[Meter], SelfTest]) -> None:
        self._say("self-test of the meter", 0.0, {})
        try:
            found = self_test(self._meter)
        except MeterError as error:
            conditions = (Condition(name="it can be read", holds=False, found=str(error)),)
            found = SelfTest(meter=self._meter.name, conditions=conditions, seconds=0)
        self.observed.self_test = found
        if not found.passed:
            failed = ", ".join(f"{one.name} ({one.found})" for one in found.conditions if not one.holds) or "nothing"
            raise BrokenError(
                f"the meter {self._meter.name} failed its self-test: {failed}; see `wattline energy doctor`"
            )

    def _load(self) -> None:
        """Start every process, all at once, and take the first answers, which all others are compared with."""
        self._say("load", 0.0, {})
        for entrant in self._entrants:
            pits = self._pits.setdefault(entrant.name, [])
            for _ in range(2 if entrant is self._entrants[-1] else 1):  # the controls need another one
                pits.append(Pit(entrant.name, entrant.load()))
        for entrant in self._entrants:
            for pit in self._pits[entrant.name]:
                pit.worker.answer(1)
                self._enter(entrant, pit.worker)

    def _enter(self, entrant: Entrant, worker: Worker) -> None:
        if entrant.name in self.observed.contenders:
            self._compare_answers(entrant.name, worker)
            return
        sha256 = worker.answers_sha256()
        self.observed.contenders[entrant.name] = Contender(
            name=entrant.name,
            digest=entrant.digest,
            score=entrant.score(worker.answers()),
            answers_sha256=sha256,
            warm_up_passes=0,
        )

    def _observe(self) -> None:
        params = self._plan.params
        self.observed.idle_before = self._idle()
        if self._plan.evidence == "measured" and self._metering.sensor.provenance != "measured":
            return  # whatever came now, the answer would be no
        warm = [self._warm_up(pit) for pit in self._all()]
        seconds = HEADROOM * max(params.sample_seconds, self._meter.minimum_seconds)
        fastest = min(one.pass_seconds for one in warm)
        if fastest <= 0:
            raise BrokenError("answering the requests took no time by the clock; set measure.windows higher")
        self.observed.requests = self.observed.requests.model_copy(update={"passes": ceil(seconds / fastest)})
        for number in range(1, self._looks[-1] + 1):
            self._round(number)
            if number in self._looks:
                self.observed.idle_after = self._idle()
                if not self._plan.more(self.test()):
                    return

    def _warm_up(self, pit: Pit) -> Warm:
        self._say(f"warm up {pit.name}", 0.0, {})
        params, began = self._plan.params, self._metering.now()
        warm = warm_up(
            pit.worker,
            name=f"the {pit.name}",
            step_seconds=params.sample_seconds / WARM_UP_STEPS,
            longest_seconds=params.warm_up_seconds,
            cost=self._cost,
            clock=self._metering.now,
        )
        self._warming_seconds += self._metering.now() - began
        pit.stalled_share = warm.stalled_share
        if pit is self._pits[pit.name][0]:
            update = {"warm_up_passes": warm.passes}
            contender = self.observed.contenders[pit.name]
            self.observed.contenders[pit.name] = contender.model_copy(update=update)
        return warm

    def _cost(self, answered: Answered) -> float:
        """CPU time is the steady one on a shared machine; but an accelerator's work takes none."""
        return answered.seconds if self._metering.sensor.scope == "devices" else answered.cpu_seconds

    def _round(self, number: int) -> None:
        """A block of pairs and one of controls, in random order.

        Controls come with the first look and none is added later: further looks must not ask them once more.
        """
        kinds: list[Literal["pair", "control"]] = ["pair"] if len(self._entrants) > 1 else []
        if number <= self._looks[0]:
            kinds.append("control")
        self._random.shuffle(kinds)
        for kind in kinds:
            self._say(kind, self._done, {"round": number})
            self.observed.blocks.append(self._block(kind))
        self._done = number / self._looks[-1]

    def _block(self, kind: Literal["pair", "control"]) -> Block:
        order = self._random.choice(ORDERS)
        last = self._pits[self._entrants[-1].name]
        first = self._pits[self._entrants[0].name][0] if kind == "pair" else last[1]
        places = {"A": first, "B": last[0]}
        one, two, three, four = (self._sample(places[letter]) for letter in order)
        return Block(kind=kind, order=order, samples=(one, two, three, four))

    def _sample(self, pit: Pit) -> Sample:
        passes = self.observed.requests.passes
        answered, energy, others, seconds = self._metering.read(lambda: pit.worker.answer(passes))
        stalled = answered.stalled_seconds - pit.stalled_share * answered.seconds
        unexplained = max(seconds - answered.seconds, stalled)
        if unexplained > SUSPENDED_SECONDS:
            raise BrokenError(
                f"{unexplained:.1f} s of a sample of the {pit.name} are explained by neither its work nor waiting for "
                "a core: a process was suspended; run the test again"
            )
        self._compare_answers(pit.name, pit.worker)
        low, high = energy.interval
        return Sample(
            contender=pit.name,
            joules=energy.joules,
            low=low,
            high=high,
            seconds=energy.seconds,
            cpu_seconds=answered.cpu_seconds,
            other_cores=others,
        )

    def _compare_answers(self, name: Name, worker: Worker) -> None:
        known, found = self.observed.contenders[name].answers_sha256, worker.answers_sha256()
        if found != known:
            raise BrokenError(
                f"the {name} answered the same requests differently, {found[:12]} instead of {known[:12]}; a model "
                "that is to be compared must be deterministic"
            )

    def _idle(self) -> Idle:
        self._say("idle", self._done, {})
        _, energy, others, _ = self._metering.idle(self._plan.params.idle_seconds)
        if energy.seconds <= 0:
            raise BrokenError(f"the meter {self._meter.name} says that idling took no time; choose another meter")
        return Idle(watts=energy.joules / energy.seconds, seconds=energy.seconds, other_cores=others)

    def _all(self) -> list[Pit]:
        return [pit for pits in self._pits.values() for pit in pits]
