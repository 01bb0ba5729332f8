"""Any number of models at work in turns in one session, so that the same things disturb them all.

A round goes through the models in a random order and back, so that a steady drift of the machine cancels.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wattline.energy.meters import Device, Meter, MeterError
from wattline.energy.meters.self_test import self_test
from wattline.energy.paired.machine import Host
from wattline.energy.paired.metering import Metering
from wattline.energy.paired.session import HEADROOM, WARM_UP_STEPS, Say
from wattline.energy.paired.warm_up import Warm, warm_up
from wattline.energy.paired.worker import Answered, BrokenError
from wattline.errors import WattlineError
from wattline.measuring import requests
from wattline.measuring.contest import Rows
from wattline.measuring.process import Process
from wattline.measuring.turns import Reading, Round, Turns, check_undisturbed
from wattline.params import MeasureParams
from wattline.records import Idle, Requests, SelfTest
from wattline.serving.inference import contents

FEWEST_ROUNDS = 4
"""With fewer, chance makes the interval too wide to be of use."""


def take(
    folders: Mapping[str, Path],
    rows: Rows,
    *,
    meter: Meter,
    measure: MeasureParams,
    seed: int,
    say: Say,
    device: Device = "cpu",
) -> Turns:
    """Let the models in `folders` take turns, at least two of which must get through their warm-up, or the only one.

    device: what they run on

    Raises MeterError when the meter fails its self-test or stops working, BrokenError when a model broke off in a
    round, idle power drifted, or other load appeared where the meter sees it.
    """
    tested = self_test(meter)
    if not tested.passed:
        failed = ", ".join(f"{one.name} ({one.found})" for one in tested.conditions if not one.holds)
        raise MeterError(f"the meter {meter.name} failed its self-test: {failed}; see `wattline energy doctor`")
    with TemporaryDirectory(prefix="wattline-") as scratch, ExitStack() as stack:
        session = _Session(stack, Path(scratch), rows, meter=meter, measure=measure, say=say, device=device)
        turns = session.run(folders, tested, random.Random(seed), seed=seed)  # noqa: S311  # an order, no secret
    check_undisturbed(turns, measure.session)
    return turns


class _Session:
    """Processes at work, which the stack stops."""

    def __init__(
        self,
        stack: ExitStack,
        scratch: Path,
        rows: Rows,
        *,
        meter: Meter,
        measure: MeasureParams,
        say: Say,
        device: Device,
    ) -> None:
        self._stack, self._scratch, self._rows, self._measure, self._say = stack, scratch, rows, measure, say
        self._asked = requests.choose(rows.test, measure.windows)
        self._meter, self._device = meter, device
        self._workers: dict[str, Process] = {}
        self._metering = Metering(meter, Host(), processes=lambda: [one.pid for one in self._workers.values()])

    def run(self, folders: Mapping[str, Path], tested: SelfTest, chance: random.Random, *, seed: int) -> Turns:
        began, params = time.monotonic(), self._measure.session
        failures = dict(self._load_all(folders))
        before = self._idle()
        warm, broken = self._warm_all()
        if not warm:
            raise BrokenError("; ".join((failures | broken).values()) or "there is no model to measure")
        seconds = HEADROOM * max(params.sample_seconds, self._meter.minimum_seconds)
        passes = ceil(seconds / min(one.pass_seconds for one in warm.values()))
        count = max(FEWEST_ROUNDS, params.minimum_blocks)
        rounds = tuple(self._round(sorted(warm), passes, chance, number / count) for number in range(count))
        return Turns(
            requests=Requests(
                sha256=requests.sha256(self._asked),
                windows=sum(len(series) for series in self._asked.values()),
                batch=self._measure.batch,
                passes=passes,
            ),
            sensor=self._metering.sensor,
            self_test=tested,
            idle_before=before,
            idle_after=self._idle(),
            rounds=rounds,
            failures=failures | broken,
            seed=seed,
            seconds=time.monotonic() - began,
        )

    def _load_all(self, folders: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
        """Load every model; names and reasons of those that cannot be."""
        for name, folder in sorted(folders.items()):
            self._say(f"load {name}", 0.0, {})
            try:
                worker = self._load(name, folder)
                self._stack.callback(worker.stop)
                worker.answer(1)
                self._workers[name] = worker
            except WattlineError as error:
                yield name, str(error)

    def _load(self, name: str, folder: Path) -> Process:
        verified = contents.read(folder)
        windows, units = requests.windows_of(self._asked, verified.signature, self._rows.columns)
        path = self._scratch / f"{name}.npz"
        np.savez(path, windows=windows, units=units)
        return Process(
            folder,
            path,
            digest=verified.candidate.digest,
            name=name,
            batch=self._measure.batch,
            timeout_seconds=self._measure.session.timeout_seconds,
            device=self._device,
        )

    def _warm_all(self) -> tuple[dict[str, Warm], dict[str, str]]:
        """Warm every model up; and the reasons of those that cannot be."""
        warm, broken, params = {}, {}, self._measure.session
        for name, worker in self._workers.items():
            self._say(f"warm up {name}", 0.0, {})
            try:
                warm[name] = warm_up(
                    worker,
                    name=name,
                    step_seconds=params.sample_seconds / WARM_UP_STEPS,
                    longest_seconds=params.warm_up_seconds,
                    cost=self._cost,
                    clock=time.monotonic,
                )
            except BrokenError as error:
                broken[name] = str(error)
        return warm, broken

    def _cost(self, answered: Answered) -> float:
        """CPU time is the steady one on a shared machine; but an accelerator's work takes none."""
        return answered.seconds if self._metering.sensor.scope == "devices" else answered.cpu_seconds

    def _round(self, names: Sequence[str], passes: int, chance: random.Random, done: float) -> Round:
        self._say("turns", done, {})
        order = chance.sample(names, len(names))
        there = {name: self._read(name, passes) for name in order}
        back = {name: self._read(name, passes) for name in reversed(order)}
        return Round(order=tuple(order), readings={name: (there[name], back[name]) for name in names})

    def _read(self, name: str, passes: int) -> Reading:
        answered, energy, others = self._metering.read(lambda: self._workers[name].answer(passes))[:3]
        low, high = energy.interval
        return Reading(
            joules=energy.joules,
            low=low,
            high=high,
            seconds=energy.seconds,
            cpu_seconds=answered.cpu_seconds,
            other_cores=others,
        )

    def _idle(self) -> Idle:
        self._say("idle", 0.0, {})
        energy, others = self._metering.idle(self._measure.session.idle_seconds)[1:3]
        return Idle(watts=energy.joules / energy.seconds, seconds=energy.seconds, other_cores=others)
