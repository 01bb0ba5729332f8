"""What a job became, as a sentence; its log, whatever happens to the file; Slurm's answers, whatever they say."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattline import files
from wattline.errors import InputError, UnreachableError, WattlineError
from wattline.hpc import made, outcome, patience, record, slurm, work
from wattline.hpc.commands import Answer
from wattline.hpc.log import Log
from wattline.hpc.record import Job
from wattline.hpc.scheduler import Look, Order, State
from wattline.params import HpcParams, ResourcesParams
from wattline.settings import for_job, for_scheduler
from wattline.sites import Profile

LINE = (
    "JobId=7 JobName=wattline-train-0a UserId=me(1000) JobState={state} Reason={reason} Restarts=2 ExitCode={code} "
    "RunTime=1-00:01:05 SubmitTime=1000 StartTime=1030 NodeList=(null)"
)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(
        stage="train",
        site="test",
        command=["wattline", "run", "train"],
        folder=tmp_path / "jobs",
        root=tmp_path,
        token="0a",
        profile=Profile(description="a site", scheduler="slurm"),
        resources=ResourcesParams(memory_gib=3.0, minutes=60),
        params=HpcParams(poll_seconds=0.01, patience_seconds=0.05),
    )


class TestSentences:
    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (
                State.OUT_OF_MEMORY,
                ["memory of 3 GiB", "its largest process used 2.97 GiB", "hpc.stages.train.memory_gib"],
            ),
            (State.TIMEOUT, ["time limit of 60 min", "hpc.stages.train.minutes"]),
            (State.NODE_FAIL, ["lost a node", "goes on from its last checkpoint"]),
            (State.PREEMPTED, ["make room for another job", "goes on from its last checkpoint"]),
            (State.CANCELLED, ["was cancelled", "`dvc repro`"]),
        ],
    )
    def test_every_end_that_is_none_of_the_stage_is_1_and_has_a_remedy(self, order: Order, state: State, words):
        look = Look(job="7", name=order.name, state=state, exit_code=0, nodes=("n1",), peak_gib=2.97)
        with pytest.raises(outcome.JobError) as raised:
            outcome.check(look, order)
        assert raised.value.exit_code == 1
        for word in ("job 7 (train on n1)", *words):
            assert word in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_a_training_that_was_paused_too_often_says_which_knob(self, order: Order):
        look = Look(job="7", name=order.name, state=State.FAILED, exit_code=75, restarts=20)
        with pytest.raises(outcome.JobError, match=r"after 20 restarts.*hpc\.maximum_restarts") as raised:
            outcome.check(look, order)
        assert raised.value.exit_code == 75

    def test_a_job_that_can_never_start_is_not_waited_for_and_others_are(self, order: Order):
        waits = Look(job="7", name=order.name, state=State.PENDING, reason="Resources")
        assert outcome.hopeless(waits, order) is None
        never = Look(job="7", name=order.name, state=State.PENDING, reason="InvalidQOS")
        assert "correct `qos`" in str(outcome.hopeless(never, order))
        held = Look(job="7", name=order.name, state=State.PENDING, reason="launch_failed_requeued_held", restarts=1)
        assert "could not be started on its nodes" in str(outcome.hopeless(held, order))


class TestLog:
    def test_lines_come_whole_and_once(self, tmp_path: Path):
        path = tmp_path / "job.log"
        log = Log(path)
        assert list(log.lines()) == []
        path.write_bytes(b"one\ntw")
        assert list(log.lines()) == ["one"]
        with path.open("ab") as stream:
            stream.write(b"o\n\xff three")
        assert list(log.lines()) == ["two"]
        assert list(log.end()) == ["\ufffd three"]

    def test_one_that_vanishes_or_is_cut_is_told_once_and_followed_again(self, tmp_path: Path):
        path = tmp_path / "job.log"
        path.write_text("before\n")
        log = Log(path)
        assert list(log.lines()) == ["before"]
        path.unlink()
        assert "has vanished; the job goes on" in " ".join(log.lines())
        assert list(log.lines()) == []
        path.write_text("new\n")
        assert list(log.lines())[-1] == "new"
        os.truncate(path, 0)
        path.write_text("a\n")
        assert list(log.lines())[-1] == "a"


class TestAnswers:
    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("RUNNING", State.RUNNING), ("COMPLETING", State.RUNNING), ("REQUEUED", State.PENDING),
            ("BOOT_FAIL", State.NODE_FAIL), ("DEADLINE", State.TIMEOUT), ("COMPLETED", State.COMPLETED),
        ],
    )  # fmt: skip
    def test_every_word_of_slurm_is_a_state(self, word: str, state: State):
        look = slurm._from_controller(LINE.format(state=word, reason="None", code="0:0"))
        assert look.state is state
        assert (look.job, look.name, look.restarts, look.nodes) == ("7", "wattline-train-0a", 2, ())
        assert look.queue_seconds == (None if state is State.PENDING else 30)
        assert look.run_seconds == (None if state is State.PENDING else 86465)

    def test_what_a_signal_ended_has_the_code_that_a_shell_gives(self):
        look = slurm._from_controller(LINE.format(state="FAILED", reason="NonZeroExitCode", code="0:9"))
        assert look.exit_code == 137

    @given(st.text() | st.text().map(lambda text: f"JobId=7 JobName=x JobState={text}"))
    def test_garbage_is_a_silence_and_no_state(self, text: str):
        try:
            look = slurm._from_controller(text)
        except UnreachableError:
            return
        assert look.state in State

    def test_an_array_runs_until_its_last_task_has_ended_and_is_as_good_as_its_worst(self):
        def of(*states: State) -> State:
            return slurm._combined(Look(job="7", name="x", state=state) for state in states).state

        assert of(State.COMPLETED, State.PENDING, State.FAILED) is State.PENDING
        assert of(State.COMPLETED, State.FAILED, State.COMPLETED) is State.FAILED
        assert of(State.COMPLETED, State.COMPLETED) is State.COMPLETED

    def test_a_task_that_the_controller_has_forgotten_still_counts(self, monkeypatch: pytest.MonkeyPatch):
        """Of an array, tasks are forgotten one by one; the accounting names them in any order."""
        rows = [
            f"{job}|wattline-sweep-0a|{state}|{code}|n1|1000|1001|1002|1"
            for job, state, code in (("7", "FAILED", "1:0"), ("8", "COMPLETED", "0:0"), ("9", "COMPLETED", "0:0"))
        ]
        last = LINE.format(state="COMPLETED", reason="None", code="0:0").replace("JobId=7", "JobId=9 ArrayJobId=7")

        def answers(command: Sequence[str], **_: object) -> Answer:
            return Answer(0, last if command[0] == "scontrol" else "\n".join(rows), "")

        monkeypatch.setattr(slurm, "call", answers)
        assert slurm.Slurm().look("7").state is State.FAILED
        gone = Answer(1, "", "slurm_load_jobs error: Invalid job id specified")
        monkeypatch.setattr(slurm, "call", lambda command, **_: gone if command[0] == "scontrol" else answers(command))
        assert slurm.Slurm().look("7").state is State.FAILED

    def test_a_path_does_not_say_how_a_job_ended(self):
        line = LINE.format(state="FAILED", reason="NonZeroExitCode", code="3:0")
        look = slurm._from_controller(f"{line} Command=/a JobState=COMPLETED ExitCode=0:0/job.sh")
        assert (look.state, look.exit_code) == (State.FAILED, 3)

    def test_patience_ends(self, order: Order):
        said: list[str] = []

        def silent() -> str:
            raise UnreachableError("nobody there")

        with pytest.raises(UnreachableError, match=r"nobody there; gave up after 0.05 s, and left"):
            patience.patiently(silent, params=order.params, say=said.append)
        assert len(said) == 1

    def test_nothing_secret_and_no_wish_of_another_job_reaches_the_scheduler(self, monkeypatch: pytest.MonkeyPatch):
        wishes = ("SBATCH_PARTITION", "SLURM_JOB_ID", "SQUEUE_PARTITION", "SCANCEL_STATE")
        for name in ("WATTLINE_API_KEY", "MLFLOW_TRACKING_TOKEN", "CI_JOB_TOKEN", *wishes):
            monkeypatch.setenv(name, "7")
        monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
        found = for_scheduler()
        assert "7" not in found.values()
        assert found["SLURM_CONF"] == "/etc/slurm.conf"

    def test_a_job_is_handed_on_as_little_as_a_login_begins_with(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("A_TOKEN", "7")
        monkeypatch.setenv("PATH", "/mine:/usr/bin")
        found = for_job()
        assert "/mine" not in found["PATH"]
        assert found.keys() <= {"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "SLURM_CONF", "USER"}


class TestRecord:
    def test_a_damaged_record_does_not_pass_for_none(self, tmp_path: Path):
        (tmp_path / record.FILE).write_text('{"stage": "train", "jo')
        with pytest.raises(InputError, match="is damaged, and says whether a job is under way"):
            record.read(tmp_path)

    def test_a_lock_that_another_one_holds_is_told(self, tmp_path: Path):
        with (
            record.locked(tmp_path),
            pytest.raises(WattlineError, match="another process is submitting or collecting"),
            record.locked(tmp_path, timeout_seconds=0.0),
        ):
            pass

    def test_what_was_written_is_read(self, tmp_path: Path):
        job = Job(stage="train", site="s", token="0a", key="k", job="7")
        record.write(tmp_path, job)
        assert record.read(tmp_path) == job


class TestOutputs:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        files.write_text(Path("models/candidate/model.onnx"), "graph")
        files.write_text(Path("reports/train.json"), "{}")
        return tmp_path

    def test_what_was_kept_is_restored_also_over_half_of_it(self, here: Path):
        outputs = [Path("models/candidate"), Path("reports/train.json")]
        made.keep(outputs, here / "jobs" / "made" / "0a")
        Path("models/candidate/model.onnx").unlink()
        Path("reports/train.json").unlink()
        files.write_text(Path("models/candidate/left.part"), "rest")
        made.restore(outputs, here / "jobs" / "made" / "0a")
        assert files.digests(Path("models/candidate")).keys() == {"model.onnx"}
        assert Path("reports/train.json").read_text() == "{}"

    def test_an_output_that_is_missing_keeps_nothing(self, here: Path):
        with pytest.raises(WattlineError, match=r"reports/else\.json was not written"):
            made.keep([Path("models/candidate"), Path("reports/else.json")], here / "made" / "0a")
        assert not (here / "made" / "0a").exists()

    def test_a_changed_input_knob_or_site_is_other_work(self, here: Path):
        stage = "{cmd: wattline run train, deps: ['${task.folder}'], params: ['${task.name}.train'], outs: [models]}"
        Path("dvc.yaml").write_text(f"stages: {{train: {stage}}}")
        params = "task: {{name: mine, folder: code}}\nmine: {{train: {train}, card: {card}}}\n"
        Path("params.yaml").write_text(params.format(train=1, card=1))
        files.write_text(Path("code/task.py"), "1")
        files.write_text(Path("code/__pycache__/task.pyc"), "1")
        first = work.of_stage("train", "here")
        assert first.outputs == (Path("models"),)
        files.write_text(Path("code/__pycache__/task.pyc"), "2")
        Path("params.yaml").write_text(params.format(train=1, card=2))
        assert work.of_stage("train", "here") == first
        assert work.of_stage("train", "there").key != first.key
        Path("params.yaml").write_text(params.format(train=2, card=2))
        second = work.of_stage("train", "here")
        files.write_text(Path("code/task.py"), "2")
        assert len({first.key, second.key, work.of_stage("train", "here").key}) == 3

    def test_a_missing_input_is_named(self, here: Path):
        Path("dvc.yaml").write_text("stages: {train: {cmd: x, deps: [data/raw]}}")
        Path("params.yaml").write_text("task: {name: mine}")
        with pytest.raises(InputError, match="data/raw is missing, which train reads"):
            work.of_stage("train", "here")
