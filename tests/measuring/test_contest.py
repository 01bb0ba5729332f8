"""Real models in real processes: who costs more fails, and whatever breaks is refused."""

import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from builders import UNITS, series
from energy import powercap
from energy.paired import scripted
from stages.conftest import ROOT, Scorer

from measuring import contenders
from wattline import params
from wattline.energy.meters import Meter, Rapl, choose
from wattline.energy.paired import Judgement
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.measuring import contest
from wattline.measuring.contest import Rows, Rules
from wattline.measuring.process import Process
from wattline.params import EnergyParams
from wattline.records import EnergyTest

ESTIMATE = EnergyParams(
    meter="estimate", watts_per_core=12.5, watts_source="data sheet", idle_share=0.0, idle_source="none"
)
SESSION = {
    "minimum_blocks": 4,
    "maximum_blocks": 8,
    "sample_seconds": 0.1,
    "idle_seconds": 0.2,
    "idle_drift": 10.0,
    "timeout_seconds": 20.0,
}


def rules(*, margin: float = 2.0, alpha: float = 0.002, tolerance: float = 0.01, **session: Any) -> Rules:
    """Few and short samples, and limits so wide that the noise of a busy machine does not reach them."""
    block = params.load(ROOT / "params.yaml").block
    shorter = block.measure.session.model_copy(update=SESSION | session)
    return Rules(
        measure=block.measure.model_copy(update={"windows": 100, "batch": 32, "session": shorter}),
        gates=block.gates.model_copy(
            update={
                "energy": block.gates.energy.model_copy(update={"margin": margin, "alpha": alpha}),
                "champion": block.gates.champion.model_copy(update={"tolerance": tolerance}),
            }
        ),
    )


def held(
    *folders: Path, rows: Rows | None = None, wanted: Rules | None = None, meter: Meter | None = None
) -> tuple[EnergyTest, Judgement]:
    wanted = wanted or rules()
    test = contest.hold(
        dict(zip(("candidate", "baseline"), folders, strict=False)),
        rows or contenders.labelled(),
        meter=meter or choose(ESTIMATE),
        task=Scorer(),
        rules=wanted,
        seed=7,
        say=lambda what, done, figures: None,
    )
    return test, contest.verdict(test, wanted)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the two seconds of a self-test where the meter is not what is tested."""
    monkeypatch.setattr(contest, "self_test", scripted.passes)


@pytest.fixture
def light(tmp_path: Path) -> Path:
    contenders.write(tmp_path / "light")
    return tmp_path / "light"


@pytest.fixture
def twin(tmp_path: Path, light: Path) -> Path:
    return Path(shutil.copytree(light, tmp_path / "twin"))


@pytest.fixture
def heavy(tmp_path: Path) -> Path:
    contenders.write(tmp_path / "heavy", products=9)
    return tmp_path / "heavy"


@powercap.patient
def test_a_model_against_itself_passes(light, twin):
    test, said = held(light, twin)
    assert test.problem is None
    assert said.outcome == "PASS", said.reason
    assert test.contenders[0].answers_sha256 == test.contenders[1].answers_sha256
    assert test.contenders[0].score == test.contenders[1].score


@powercap.patient
@pytest.mark.usefixtures("trusted")
def test_one_that_does_more_for_the_same_answers_fails_and_the_other_way_round_passes(light, heavy):
    wanted = rules(margin=0.8, maximum_blocks=16)
    test, said = held(heavy, light, wanted=wanted)
    assert test.contenders[0].answers_sha256 == test.contenders[1].answers_sha256
    assert said.outcome == "FAIL", said.reason
    assert said.interval[0] > 1.8
    _, swapped = held(light, heavy, wanted=wanted)
    assert swapped.outcome == "PASS", swapped.reason
    assert swapped.interval[1] < 1


@powercap.patient
@pytest.mark.usefixtures("trusted")
def test_worse_answers_fail_however_little_they_cost(tmp_path, light):
    contenders.write(tmp_path / "worse", products=1, worse=True)
    _, said = held(tmp_path / "worse", light)
    assert said.outcome == "FAIL", said.reason
    assert "worse answers" in said.reason


@powercap.patient
@pytest.mark.usefixtures("trusted")
def test_a_candidate_alone_has_a_control_and_a_figure(light):
    test, said = held(light)
    assert test.problem is None
    assert [contender.name for contender in test.contenders] == ["candidate"]
    assert said.outcome == "PASS", said.reason


def at_call(monkeypatch: pytest.MonkeyPatch, number: int, what: Any) -> None:
    """Do something to the process that is asked for answers for the `number`th time."""
    calls, answer = [], Process.answer

    def watched(self: Process, passes: int) -> Any:
        calls.append(self.pid)
        if len(calls) == number:
            what(self.pid)
        return answer(self, passes)

    monkeypatch.setattr(Process, "answer", watched)


def later(pid: int, *signals: int) -> None:
    """Send signals one after the other while the process works."""

    def send() -> None:
        for number in signals:
            threading.Event().wait(0.02)
            os.kill(pid, number)

    threading.Thread(target=send).start()


SAMPLING = 70
"""A call after the warm-up of three processes."""


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("call", [2, 10, SAMPLING])
def test_a_contender_that_is_killed_is_refused(light, twin, monkeypatch, call):
    at_call(monkeypatch, call, lambda pid: os.kill(pid, signal.SIGKILL))
    test, said = held(light, twin)
    assert test.problem is not None
    assert "was ended by signal 9" in test.problem
    assert said.outcome == "REFUSE"
    assert not said.more


@pytest.mark.usefixtures("trusted")
def test_a_contender_that_is_stopped_is_refused(light, twin, monkeypatch):
    at_call(monkeypatch, SAMPLING, lambda pid: os.kill(pid, signal.SIGSTOP))
    test, said = held(light, twin)
    assert "was suspended by a signal" in (test.problem or "")
    assert said.outcome == "REFUSE"


@pytest.mark.usefixtures("trusted")
def test_a_contender_that_was_stopped_and_went_on_is_refused(light, twin, monkeypatch):
    at_call(monkeypatch, SAMPLING, lambda pid: later(pid, signal.SIGSTOP, signal.SIGCONT))
    test, said = held(light, twin)
    assert "was suspended by a signal" in (test.problem or "")
    assert said.outcome == "REFUSE"


@pytest.mark.usefixtures("trusted")
def test_a_contender_that_takes_too_long_is_refused(light, heavy):
    test, said = held(light, heavy, wanted=rules(sample_seconds=400.0, timeout_seconds=3.0))
    assert "hangs: no answer within 3 s (measure.session.timeout_seconds)" in (test.problem or "")
    assert said.outcome == "REFUSE"


@pytest.mark.usefixtures("trusted")
def test_answers_that_change_are_refused(tmp_path, light):
    contenders.write(tmp_path / "random", random=True)
    test, said = held(tmp_path / "random", light)
    assert "the candidate answered the same requests differently" in (test.problem or "")
    assert said.outcome == "REFUSE"


@powercap.patient
def test_a_meter_that_vanishes_is_refused(light, twin, tmp_path, monkeypatch):
    with powercap.ticking(tmp_path / "powercap") as folders, monkeypatch.context() as once:
        at_call(once, SAMPLING, lambda pid: powercap.vanish(folders[0]))
        test, said = held(light, twin, meter=Rapl(tmp_path / "powercap"))
        assert test.self_test.passed, test.self_test
        assert test.problem is not None
        assert "energy_uj" in test.problem
    assert said.outcome == "REFUSE"


def test_a_meter_that_is_stuck_is_refused(light, twin, tmp_path):
    with powercap.ticking(tmp_path / "powercap", fault="stuck"):
        test, said = held(light, twin, meter=Rapl(tmp_path / "powercap"))
    assert "failed its self-test" in (test.problem or "")
    assert said.outcome == "REFUSE"


@pytest.mark.usefixtures("trusted")
def test_an_estimate_is_refused_where_a_measurement_is_demanded(light, twin):
    wanted = rules()
    limits = wanted.gates.energy.model_copy(update={"evidence": "measured"})
    strict = Rules(wanted.measure, wanted.gates.model_copy(update={"energy": limits}))
    _, said = held(light, twin, wanted=strict)
    assert said.outcome == "REFUSE"
    assert not said.more


@pytest.mark.usefixtures("trusted")
class TestBadInput:
    """A clear error, and no answer at all."""

    def test_a_baseline_whose_bytes_differ(self, light, twin):
        path = twin / "model.onnx"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(IntegrityError, match=r"model\.onnx has SHA-256"):
            held(light, twin)

    def test_a_baseline_that_is_no_graph(self, light, twin):
        from builders import write_record

        (twin / "model.onnx").write_bytes(b"no graph")
        write_record(twin)
        with pytest.raises(InputError, match="the baseline cannot be loaded"):
            held(light, twin)

    def test_a_baseline_that_is_not_there(self, light, tmp_path):
        with pytest.raises(WattlineError, match=r"candidate\.json is missing"):
            held(light, tmp_path / "nowhere")

    def test_no_rows(self, light, twin):
        with pytest.raises(InputError, match="nothing to ask"):
            held(light, twin, rows=Rows({}, contenders.ROWS.columns, 60.0))

    def test_rows_that_are_all_history(self, light, twin):
        rows = Rows({UNITS[0]: series(20, history=20)}, contenders.ROWS.columns, 60.0)
        with pytest.raises(InputError, match="nothing to ask"):
            held(light, twin, rows=rows)

    def test_rows_without_a_column_that_a_model_needs(self, light, twin):
        test = {unit: series(200, unit=unit, columns=1) for unit in UNITS}
        with pytest.raises(InputError, match="needs column 'temperature'"):
            held(light, twin, rows=Rows(test, ["power"], 60.0))
