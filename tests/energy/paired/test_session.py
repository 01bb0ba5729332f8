"""A session observes what was planned, in the order that was planned, and says so when anything breaks."""

import math
import re
from typing import Any

import pytest

from energy.paired import scripted
from energy.paired.scripted import PARAMS, Stage, Worker
from wattline.energy.meters import MeterError
from wattline.energy.paired.session import hold
from wattline.energy.paired.worker import BrokenError
from wattline.errors import InputError
from wattline.records import EnergyTest


def held(stage: Stage, *, self_test: Any = scripted.passes, **plan: Any) -> EnergyTest:
    test = hold(
        stage.entrants,
        plan=stage.plan(**plan),
        meter=stage.meter,
        self_test=self_test,
        machine=stage.world,
        say=lambda what, done, figures: None,
    )
    assert all(worker.stopped for worker in stage.workers)
    assert not stage.meter.started
    return test


class TestPlan:
    def test_pairs_and_controls_are_equally_many_at_the_first_look(self):
        test = held(Stage())
        assert test.problem is None
        assert [sum(block.kind == kind for block in test.blocks) for kind in ("pair", "control")] == [4, 4]

    def test_controls_are_asked_once(self):
        stage = Stage()
        stage.answer = lambda test: True
        test = held(stage)
        assert [sum(block.kind == kind for block in test.blocks) for kind in ("pair", "control")] == [8, 4]

    def test_a_session_ends_at_the_look_that_needs_no_more(self):
        stage = Stage()
        stage.answer = lambda test: len(test.blocks) < 10
        assert len(held(stage, looks=(4, 6, 8)).blocks) == 4 + 6
        assert len(stage.judged) == 2

    def test_every_look_sees_idle_power_of_after(self):
        stage = Stage()
        stage.answer = lambda test: True
        held(stage)
        assert [test.idle_after is not None for test in stage.judged] == [True, True]
        assert [test.problem for test in stage.judged] == [None, None]

    def test_a_pair_is_candidate_and_baseline_in_its_order(self):
        names = {"A": "candidate", "B": "baseline"}
        for block in held(Stage()).blocks:
            expected = [names[letter] if block.kind == "pair" else "baseline" for letter in block.order]
            assert [sample.contender for sample in block.samples] == expected

    def test_a_control_is_two_processes_of_the_baseline(self):
        stage = Stage()
        test = held(stage)
        assert [(worker.name, worker.pid) for worker in stage.workers] == [
            ("candidate", 100),
            ("baseline", 101),
            ("baseline", 102),
        ]
        sampled = [event for event in stage.world.events if event != "sleep"][-4 * len(test.blocks) :]
        for place, block in enumerate(test.blocks):
            four = sampled[4 * place : 4 * place + 4]
            first = "baseline102" if block.kind == "control" else "candidate100"
            assert four == [{"A": first, "B": "baseline101"}[letter] for letter in block.order]

    def test_the_order_follows_from_the_seed(self):
        def orders(seed: int) -> list[tuple[str, str]]:
            return [(block.kind, block.order) for block in held(Stage(), seed=seed).blocks]

        assert orders(1) == orders(1)
        assert len({tuple(orders(seed)) for seed in range(10)}) > 5
        assert {order for seed in range(10) for _, order in orders(seed)} == {"ABBA", "BAAB"}
        assert {orders(seed)[0][0] for seed in range(10)} == {"pair", "control"}

    def test_a_candidate_alone_is_its_own_control(self):
        stage = Stage("candidate")
        stage.answer = lambda test: True
        test = held(stage)
        assert test.problem is None
        assert [block.kind for block in test.blocks] == ["control"] * 4
        assert {sample.contender for block in test.blocks for sample in block.samples} == {"candidate"}
        assert len(stage.workers) == 2

    def test_samples_are_long_enough_for_the_faster_contender_and_equal_for_both(self):
        stage = Stage(candidate={"pass_seconds": 0.03}, baseline={"pass_seconds": 0.01})
        test = held(stage)
        for sample in (sample for block in test.blocks for sample in block.samples):
            pass_seconds = 0.03 if sample.contender == "candidate" else 0.01
            assert sample.seconds == pytest.approx(test.requests.passes * pass_seconds, rel=0.1)
            assert sample.seconds >= PARAMS.sample_seconds

    def test_samples_are_long_enough_for_the_meter(self):
        stage = Stage()
        stage.meter.minimum_seconds = 3.0
        test = held(stage)
        assert min(sample.seconds for block in test.blocks for sample in block.samples) >= 3.0
        assert test.idle_before.seconds >= 3.0

    def test_nothing_is_sampled_before_the_cost_is_steady(self):
        test = held(Stage(candidate={"cold": 50}))
        assert test.contenders[0].warm_up_passes > 2 * test.contenders[1].warm_up_passes
        costs = [sample.joules for block in test.blocks for sample in block.samples if sample.contender == "candidate"]
        assert max(costs) < 1.06 * min(costs)

    def test_what_was_read_is_what_is_written_down(self):
        test = held(Stage())
        sample = test.blocks[0].samples[0]
        assert sample.joules == pytest.approx(10 * sample.seconds + 20 * sample.cpu_seconds)
        assert sample.high - sample.low == pytest.approx(0.002)
        assert test.idle_before.watts == pytest.approx(10)
        assert test.idle_after.watts == pytest.approx(10)
        assert (test.sensor.sensor, test.sensor.scope, test.sensor.provenance) == ("scripted", "machine", "measured")
        assert [contender.score for contender in test.contenders] == [0.5, 0.5]
        assert test.overhead == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize(
        ("provenance", "evidence", "blocks"),
        [("estimated", "measured", 0), ("measured", "measured", 8), ("estimated", "estimated", 8)],
    )
    def test_nothing_is_sampled_where_an_estimate_cannot_be_the_answer(self, provenance, evidence, blocks):
        stage = Stage()
        stage.meter.change = lambda _, values: values.update(provenance=provenance)
        test = held(stage, evidence=evidence)
        assert (len(test.blocks), test.problem, test.sensor.provenance) == (blocks, None, provenance)

    def test_other_load_is_what_is_not_ours(self):
        stage = Stage()
        stage.world.others = 0.7
        test = held(stage)
        found = [sample.other_cores for block in test.blocks for sample in block.samples]
        assert found == pytest.approx([0.7] * len(found))
        assert test.idle_before.other_cores == pytest.approx(0.7)

    def test_time_between_samples_is_overhead(self, monkeypatch):
        stage = Stage()
        digest = Worker.answers_sha256

        def slow(worker: Worker) -> str:
            stage.world.seconds += 0.1
            return digest(worker)

        monkeypatch.setattr(Worker, "answers_sha256", slow)
        test = held(stage)
        assert test.overhead * test.seconds == pytest.approx(32 * 0.1)


def trouble(call: int, what: Any) -> dict[str, Any]:
    """Options of a worker that does `what` when it is asked for the `call`th time."""

    def cause(worker: Worker, number: int) -> None:
        if number == call:
            what(worker)

    return {"trouble": cause}


def crash(worker: Worker) -> None:
    raise BrokenError("the process of the candidate was ended by signal 9")


def other_answers(worker: Worker) -> None:
    worker.said = "something else"


def stall(worker: Worker) -> None:
    worker.stalls = 3.0


def step(worker: Worker) -> None:
    worker.world.stepped = -3600.0


def suspend(worker: Worker) -> None:
    worker.world.suspended = 60.0


def freeze_session(worker: Worker) -> None:
    worker.world.seconds += 4.0


WARMING, SAMPLING = 8, 26
"""A call in the warm-up, and one in the samples."""
BREAKS = {
    "a crash": (crash, r"ended by signal 9"),
    "other answers": (other_answers, r"answered the same requests differently"),
    "a stopped contender": (stall, r"3\.0 s of a sample of the candidate are explained by neither"),
    "a clock that was set": (step, r"the clock stepped by -3600\.0 s"),
    "a suspended machine": (suspend, r"the machine was suspended for 60\.0 s"),
    "a stopped session": (freeze_session, r"4\.0 s of a sample of the candidate are explained by neither"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_what_breaks_ends_the_session_and_is_told(case):
    what, said = BREAKS[case]
    stage = Stage(candidate=trouble(SAMPLING, what))
    stage.answer = lambda test: True
    test = held(stage, looks=(8,))
    assert test.problem is not None
    assert re.search(said, test.problem)
    assert 0 < len(test.blocks) < 16
    assert stage.judged == []
    assert test.idle_after is None


def test_a_crash_while_warming_up_is_told():
    test = held(Stage(candidate=trouble(WARMING, crash)))
    assert "signal 9" in test.problem
    assert test.blocks == ()


def test_a_contender_that_never_becomes_steady_is_told():
    def restless(worker: Worker, call: int) -> None:
        worker.pass_seconds *= 1.05

    test = held(Stage(candidate={"trouble": restless}))
    assert test.problem.startswith("the cost of the candidate was not steady after 20 s of warm-up")


def test_two_processes_of_one_contender_that_answer_differently_are_told():
    stage = Stage()
    entrant = stage.entrants[1]

    def load() -> Worker:
        worker = entrant.load()
        worker.said = str(worker.pid)
        return worker

    stage.entrants[1] = type(entrant)(name="baseline", digest="b" * 64, load=load, score=entrant.score)
    assert "the baseline answered the same requests differently" in held(stage).problem


class TestMeter:
    def test_one_that_fails_its_self_test_is_told_and_nothing_is_loaded(self):
        stage = Stage()
        test = held(stage, self_test=scripted.fails)
        assert test.problem.startswith("the meter scripted failed its self-test: it moves (0 J)")
        assert not test.self_test.passed
        assert stage.workers == []

    def test_one_without_any_condition_fails(self):
        none = scripted.passes(Stage().meter).model_copy(update={"conditions": ()})
        assert "failed its self-test" in held(Stage(), self_test=lambda meter: none).problem

    def test_one_that_vanishes_in_its_self_test_is_told(self):
        test = held(Stage(), self_test=scripted.vanishes)
        assert "the counter is gone" in test.problem
        assert test.sensor.provenance == "estimated"
        assert test.sensor.sensor == "nothing was read"

    @pytest.mark.parametrize("reading", [1, 2, 20])
    def test_one_that_vanishes_is_told(self, reading):
        stage = Stage()

        def vanish(number: int, values: dict[str, Any]) -> None:
            if number >= reading:
                raise MeterError("energy_uj cannot be read")

        stage.meter.change = vanish
        test = held(stage)
        assert test.problem == "energy_uj cannot be read"
        assert len(test.blocks) == max(0, (reading - 2) // 4)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sensor", "another"),
            ("provenance", "estimated"),
            ("boundary", "another world"),
            ("scope", "processes"),
        ],
    )
    def test_one_that_becomes_another_is_told(self, field, value):
        stage = Stage()
        stage.meter.change = lambda number, values: values.update({field: value}) if number == 9 else None
        test = held(stage)
        assert "the meter changed from scripted (measured" in test.problem
        assert test.sensor.provenance == "measured"

    def test_a_resolution_may_vary(self):
        stage = Stage()
        stage.meter.change = lambda number, values: values.update(resolution_joules=number / 1000)
        assert held(stage).problem is None

    @pytest.mark.parametrize("joules", [-1.0, math.nan])
    def test_a_reading_that_is_no_energy_is_told(self, joules):
        stage = Stage()
        stage.meter.change = lambda number, values: values.update(joules=joules) if number == 9 else None
        assert "read what is no energy" in held(stage).problem

    def test_one_that_does_not_say_what_it_sees_is_told(self):
        stage = Stage()
        stage.meter.change = lambda number, values: values.update(scope=None)
        assert "does not say what else is inside" in held(stage).problem


class TestEnd:
    def test_a_contender_that_cannot_be_loaded_is_an_error_and_nothing_is_left(self):
        stage = Stage()
        entrant = stage.entrants[1]

        def load() -> Worker:
            raise InputError("the baseline cannot be loaded")

        stage.entrants[1] = type(entrant)(name="baseline", digest="b" * 64, load=load, score=entrant.score)
        with pytest.raises(InputError, match="cannot be loaded"):
            held(stage)
        assert [worker.stopped for worker in stage.workers] == [True]

    def test_an_interrupted_session_leaves_nothing(self):
        def interrupt(worker: Worker) -> None:
            raise KeyboardInterrupt

        stage = Stage(candidate=trouble(SAMPLING, interrupt))
        with pytest.raises(KeyboardInterrupt):
            held(stage)
        assert all(worker.stopped for worker in stage.workers)
        assert not stage.meter.started
