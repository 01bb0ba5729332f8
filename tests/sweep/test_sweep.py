"""wattline sweep: exactly so many trials whatever dies, compared on the validation part, and no test row in sight."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wattline import files, params
from wattline.errors import InputError, PausedError, RejectedError, WattlineError
from wattline.registry import store
from wattline.settings import settings
from wattline.sweep import array, record, report, running, storage, tracking, worker
from wattline.sweep import plan as planning
from wattline.sweep.plan import Plan
from wattline.sweep.record import Sweep
from wattline.sweep.study import Trials

SECONDS = 120.0
WATTLINE = [sys.executable, "-m", "wattline", "sweep"]


def begun() -> Plan:
    """The study of params.yaml, with its trials in line."""
    loaded = params.load()
    plan = planning.make(loaded, params.load_task(loaded.task))
    planning.write(plan)
    with_trials(plan, lambda trials: trials.fill())
    return plan


def with_trials(plan: Plan, ask: Callable[[Trials], object]) -> object:
    with storage.opened(plan) as kept:
        return ask(Trials(plan, kept, higher_is_better=False))


def work(plan: Plan, name: str = "one.") -> list[str]:
    """Run trials in this process until none is left; what was said."""
    said: list[str] = []
    worker.run(plan.study, worker=name, say=said.append)
    return said


def outcome(plan: Plan) -> Sweep:
    task = params.load_task(plan.task)
    found = with_trials(plan, lambda trials: report.made(trials, task))
    assert isinstance(found, Sweep)
    return found


def values(found: Sweep) -> list[tuple[int, object, float | None]]:
    return [(one.slot, dict(one.values), one.objective) for one in found.trials]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class TestAWholeSweep:
    def test_two_workers_run_so_many_trials_and_no_more_and_the_best_is_written(self, project):
        folder = project(trials=7, workers=2)
        said: list[str] = []
        found = running.run(write=True, say=said.append)
        assert [one.slot for one in found.trials] == list(range(7))
        assert found.trials[0].values == {"x": 8.0, "nested.y": 4}
        best = min(found.trials, key=lambda one: one.objective)
        assert found.best.slot == best.slot
        assert found.best.beats_default
        assert best.objective == min(figures["validation_loss"] for figures in best.curves)
        assert found == files.read_report("sweep", Sweep)
        assert (folder / "reports/sweep/history.png").read_bytes().startswith(b"\x89PNG")
        text = (folder / "params.yaml").read_text()
        assert text.startswith("# kept: a person wrote this\n")
        train = params.load().block.train
        assert (train["x"], train["nested"]["y"]) == (best.values["x"], best.values["nested.y"])
        assert train["epochs"] == 3
        assert {one.energy.provenance for one in found.trials} == {"estimated"}
        assert found.energy.joules == pytest.approx(sum(one.energy.joules for one in found.trials))
        self.check_runs(found)

    def check_runs(self, found: Sweep) -> None:
        with store.session() as client:
            runs = client.search_runs([store.experiment(client, "valley")])
        tops = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        assert len(tops) == 1
        children = [run for run in runs if run not in tops]
        assert {run.data.tags["mlflow.parentRunId"] for run in children} == {tops[0].info.run_id}
        assert sorted(run.info.run_name for run in children) == [f"trial-{slot}" for slot in range(7)]
        assert tops[0].data.metrics["best_validation_loss"] == found.best.objective
        first = next(run for run in children if run.info.run_name == "trial-0")
        assert first.data.params["x"] == "8.0"
        with store.session() as client:
            history = client.get_metric_history(first.info.run_id, "validation_loss")
        assert [(point.step, point.value) for point in history] == [
            (step, figures["validation_loss"]) for step, figures in enumerate(found.trials[0].curves)
        ]

    def test_options_that_nothing_beats_stay_and_the_report_says_so(self, project):
        folder = project(train={"x": 3.0, "nested": {"y": 2}}, trials=3)
        plan = begun()
        work(plan)
        before = (folder / "params.yaml").read_bytes()
        with pytest.raises(
            RejectedError, match=r"params.yaml stays as it is: no trial is better than the present values"
        ):
            running.run(write=True, say=lambda line: None)
        assert (folder / "params.yaml").read_bytes() == before
        assert not files.read_report("sweep", Sweep).best.beats_default

    def test_options_that_were_changed_meanwhile_were_not_beaten(self, project):
        project(trials=3)
        found = running.run(say=lambda line: None)
        loaded = params.load()
        assert found.best.beats_default
        folder = project(train={"x": 3.0}, trials=3)
        before = (folder / "params.yaml").read_bytes()
        with pytest.raises(
            RejectedError, match=r"were changed while valley-.* ran, and what is there now was not beaten"
        ):
            running.adopt(found, loaded)
        assert (folder / "params.yaml").read_bytes() == before

    def test_more_trials_go_on_where_the_sweep_stands(self, project):
        project(trials=3)
        plan = begun()
        work(plan)
        first = values(outcome(plan))
        project(trials=5)
        again = begun()
        assert again.study == plan.study
        assert len(work(again)) == 2
        assert values(outcome(again))[:3] == first
        project(trials=2)
        assert work(begun()) == []


class TestTheTestPart:
    def test_is_not_needed_and_is_nowhere_where_a_trial_is_trained(self, project):
        folder = project(train={"does": "peeks"}, trials=3)
        assert (folder / "data/prepared/test").is_dir()
        plan = begun()
        work(plan)
        with_it = outcome(plan)
        assert {one.state for one in with_it.trials} == {"COMPLETE"}, with_it.trials[0].reason
        assert not list(plan.view.rglob("test"))
        assert not list(plan.view.rglob("raw"))
        shutil.rmtree(plan.folder)
        shutil.rmtree(folder / "data/prepared/test")
        shutil.rmtree(folder / "data/raw")
        again = begun()
        work(again)
        assert values(outcome(again)) == values(with_it)

    def test_is_not_what_a_metric_is_computed_on(self, project, monkeypatch):
        folder = project(objective="height", trials=2)
        with pytest.raises(InputError, match=r"objective is height, but no row of the validation part is labelled"):
            begun()
        monkeypatch.setattr(planning.np, "isfinite", lambda values: np.ones(np.shape(values), bool))
        shutil.rmtree(folder / "data/prepared/test")
        plan = begun()
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        work(plan)
        first, second = outcome(plan).trials
        # The answers are proportional to x.
        assert first.objective / second.objective == pytest.approx(first.values["x"] / second.values["x"], rel=1e-5)


class TestWhatDies:
    def test_a_trial_that_kills_its_worker_fails_in_the_end_and_the_others_are_run(self, project):
        project(
            trials=4,
            workers=2,
            attempts=2,
            space={"x": {"low": 0.0, "high": 10.0}, "does": {"choices": ["nothing", "dies"]}},
        )
        found = running.run(say=lambda line: None)
        deadly = [one for one in found.trials if one.values["does"] == "dies"]
        assert 0 < len(deadly) < 4
        assert {(one.state, one.attempts) for one in deadly} == {("FAIL", 2)}
        assert "its worker died 2 times" in deadly[0].reason
        assert all(one.state == "COMPLETE" for one in found.trials if one not in deadly)
        assert found.energy is None
        assert "not known of all trials" in found.energy_note

    def test_a_sweep_that_is_killed_comes_to_the_same_as_an_undisturbed_one(self, project, hold):
        project(trials=4)
        plan = begun()
        hold.touch()
        killed = subprocess.Popen(WATTLINE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: with_trials(plan, lambda trials: bool(trials.results()) and bool(trials.running())))
        killed.kill()
        killed.wait()
        with pytest.raises(WattlineError, match=r"a worker that it left behind, is at work on valley-"):
            running.run(say=lambda line: None)
        ended = [end(pid, signal.SIGKILL) for pid in processes_of(plan)]
        assert len(ended) == 1
        hold.unlink()
        found = running.run(say=lambda line: None)
        assert [one.slot for one in found.trials] == [0, 1, 2, 3]
        assert sum(one.attempts for one in found.trials) > 4
        shutil.rmtree(plan.folder)
        work(begun())
        assert values(outcome(plan)) == values(found)

    def test_sigterm_ends_every_worker_and_loses_no_trial(self, project, hold):
        project(trials=4, workers=2)
        plan = begun()
        hold.touch()
        told = subprocess.Popen(WATTLINE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: with_trials(plan, lambda trials: len(trials.running()) == 2))
        told.terminate()
        assert told.wait(SECONDS) == 143
        assert not processes_of(plan)
        assert not with_trials(plan, lambda trials: trials.running())
        hold.unlink()
        work(plan)
        assert [(one.slot, one.attempts) for one in outcome(plan).trials] == [(0, 1), (1, 1), (2, 1), (3, 1)]

    def test_a_worker_that_vanished_without_a_word_is_noticed_and_what_it_says_later_does_not_count(self, project):
        project(trials=2, heartbeat_seconds=0.2)
        plan = begun()
        ghost = with_trials(plan, lambda trials: trials.claim("ghost."))
        assert ghost.number == 0
        work(plan)
        assert not with_trials(plan, lambda trials: trials.finish(0, "COMPLETE", value=-1.0))
        first, second = outcome(plan).trials
        assert (first.worker, first.attempts, second.worker) == ("one.", 2, "one.")
        assert first.objective > 0

    def test_a_trial_that_is_told_of_its_time_limit_goes_on_from_its_checkpoint(self, project):
        project(train={"does": "is told", "epochs": 4}, trials=2, space={"x": {"low": 0.0, "high": 10.0}})
        plan = begun()
        for _ in range(2):
            with pytest.raises(PausedError):
                work(plan)
        work(plan)
        for one in outcome(plan).trials:
            assert [figures["validation_loss"] for figures in one.curves] == [
                (one.values["x"] - 3) ** 2 + 2 + 1 / (epoch + 1) for epoch in range(4)
            ]
            assert len({figures["began"] for figures in one.curves}) == 2
            assert one.attempts == 1
        assert not list((plan.folder / "checkpoints").glob("*"))

    def test_a_trial_that_is_killed_while_it_draws_draws_the_same_values_again(self, project, monkeypatch):
        project(trials=3)
        plan = begun()
        work(plan)
        undisturbed = values(outcome(plan))
        shutil.rmtree(plan.folder)
        begun()

        def killed(trial: object, plan: Plan) -> None:
            trial.suggest_float("x", 0.0, 10.0)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("wattline.sweep.space.draw", killed)
            for _ in range(2):
                with pytest.raises(KeyboardInterrupt):
                    with_trials(plan, lambda trials: trials.claim("one."))
        work(plan)
        assert values(outcome(plan)) == undisturbed

    def test_workers_of_another_project_are_not_taken_for_dead(self, project, monkeypatch, tmp_path):
        """Two clones, one database."""
        monkeypatch.setenv("WATTLINE_SWEEP_STORAGE", f"sqlite:///{tmp_path / 'trials.db'}")
        settings.cache_clear()
        project(trials=2, storage="sql")
        plan = begun()
        with_trials(plan, lambda trials: trials.claim(worker.own_name(0)))
        monkeypatch.setenv("WATTLINE_STATE", str(tmp_path / "other"))
        settings.cache_clear()
        assert not with_trials(plan, lambda trials: trials.release_of(worker.here(), died=True))

    def test_half_a_line_of_a_killed_writer_does_not_spoil_the_journal(self, project):
        project(trials=3)
        plan = begun()
        with (plan.folder / storage.JOURNAL).open("ab") as stream:
            stream.write(b'{"op_code": 4, "worker_id": "x", "tri')
        work(plan)
        assert len(outcome(plan).trials) == 3

    def test_a_full_disk_ends_it_in_a_sentence_and_loses_nothing(self, project):
        project(trials=3)
        plan = begun()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (plan.folder / storage.JOURNAL).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, limits[1]))
        try:
            with pytest.raises(WattlineError, match=r"journal\.log cannot be written: File too large; make room"):
                work(plan)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (plan.folder / storage.JOURNAL).stat().st_size == size + 30
        work(plan)
        assert [(one.slot, one.attempts) for one in outcome(plan).trials] == [(0, 1), (1, 1), (2, 1)]


class TestTrials:
    def test_those_that_are_worse_than_the_others_half_way_are_given_up(self, project):
        project(
            train={"x": 3.0, "epochs": 10}, trials=8, pruner={"kind": "median", "first_trials": 1, "first_share": 0.2}
        )
        plan = begun()
        work(plan)
        found = outcome(plan)
        pruned = [one for one in found.trials if one.state == "PRUNED"]
        assert pruned
        assert {len(one.curves) for one in pruned} == {2}
        assert {one.state for one in found.trials} == {"COMPLETE", "PRUNED"}
        assert found.reproducible.startswith("yes, by one worker")
        running.run(say=lambda line: None)
        with store.session() as client:
            runs = client.search_runs([store.experiment(client, "valley")])
        assert sum(run.info.status == "KILLED" for run in runs) == len(pruned)

    def test_the_first_one_is_never_given_up_however_bad_and_late_it_is(self, project):
        project(
            train={"x": 10.0, "epochs": 10},
            trials=4,
            heartbeat_seconds=0.2,
            pruner={"kind": "median", "first_trials": 1},
            space={"x": {"low": 0.0, "high": 10.0}},
        )
        plan = begun()
        with_trials(plan, lambda trials: trials.claim("ghost."))  # so that the others are done first
        work(plan)
        found = outcome(plan)
        assert found.trials[0].state == "COMPLETE"
        assert found.best.beats_default

    @pytest.mark.parametrize(
        ("does", "reason"),
        [
            ("diverges", "training diverged: validation_loss is nan at epoch 1"),
            ("fails", "ZeroDivisionError: a mistake of the task"),
        ],
    )
    def test_one_that_fails_says_why_and_the_others_are_run(self, project, does, reason):
        project(trials=6, space={"does": {"choices": ["nothing", does]}})
        plan = begun()
        work(plan)
        found = outcome(plan)
        assert {one.reason for one in found.trials if one.state == "FAIL"} == {reason}
        assert {one.state for one in found.trials} == {"COMPLETE", "FAIL"}

    def test_without_the_first_one_there_is_nothing_to_beat(self, project):
        project(train={"does": "fails"}, trials=2)
        plan = begun()
        work(plan)
        with pytest.raises(WattlineError, match=r"the first trial, with the present values, failed: ZeroDiv"):
            running.run(say=lambda line: None)

    @pytest.mark.parametrize("sampler", ["tpe", "random"])
    def test_are_the_same_again(self, project, sampler):
        project(trials=14, sampler=sampler)
        found = []
        for _ in range(2):
            plan = begun()
            work(plan)
            found.append(values(outcome(plan)))
            shutil.rmtree(plan.folder)
        assert found[0] == found[1]
        assert len({str(one) for one in found[0]}) == 14

    def test_in_a_database_are_as_in_a_journal(self, project, monkeypatch, tmp_path):
        project(trials=4)
        plan = begun()
        work(plan)
        project(trials=4, storage="sql")
        with pytest.raises(InputError, match=r"sweep\.storage is sql, but WATTLINE_SWEEP_STORAGE is not set"):
            begun()
        monkeypatch.setenv("WATTLINE_SWEEP_STORAGE", f"sqlite:///{tmp_path / 'trials.db'}")
        settings.cache_clear()
        other = begun()
        work(other)
        assert values(outcome(other)) == values(outcome(plan))

    def test_are_known_without_a_network_and_sent_once(self, project, monkeypatch):
        project(trials=3)
        work(begun())
        monkeypatch.setenv("WATTLINE_OFFLINE", "1")
        settings.cache_clear()
        running.run(say=lambda line: None)
        assert not (settings().state / "mlflow.db").exists()
        assert len(tracking.waiting()) == 1
        assert len(tracking.sync()) == 1
        assert tracking.sync() == []
        for path in tracking.folder().glob("*/sent"):
            path.unlink()
        tracking.sync()
        with store.session() as client:
            assert len(client.search_runs([store.experiment(client, "valley")])) == 4


class TestRefusal:
    """One sentence that names the key and what to do; nothing is begun."""

    @pytest.mark.parametrize(
        ("sweep", "sentence"),
        [
            ({"space": {}}, r"sweep\.space must name at least one option to vary"),
            ({"space": {"z": {"low": 0.0, "high": 1.0}}}, r"sweep\.space\.z is no option of `train`"),
            ({"space": {"nested": {"low": 0.0, "high": 1.0}}}, r"sweep\.space\.nested is a section of `train`"),
            ({"space": {"x": {"low": 0.0, "high": 7.0}}}, r"space\.x leaves out the present value, 8\.0.*widen it"),
            ({"space": {"x": {"low": 0, "high": 9}}}, r"leaves out the present value, 8\.0.*whole numbers from 0 to 9"),
            ({"space": {"x": {"low": 9.0, "high": 7.0}}}, r"space\.x low must be < high"),
            ({"space": {"x": {"low": 0.0, "high": 9.0, "log": True}}}, r"space\.x log needs low > 0 and no step"),
            ({"space": {"x": {"low": 0.0, "high": 9.0, "step": 2.0}}}, r"high must be low and a multiple of step"),
            ({"space": {"x": {"low": 0.0}}}, r"space\.x needs low and high, or choices"),
            ({"space": {"x": {"choices": [8.0]}}}, r"choices must be at least two different values"),
            ({"space": {"x": {"choices": [8.0, 1.0], "log": True}}}, r"choices stand alone"),
            ({"space": {"does": {"choices": ["nothing", "sings"]}}}, r"space\.does: with 'sings', train\.does must be"),
            ({"space": {"x; rm": {"low": 0.0, "high": 9.0}}}, r"must match pattern"),
            ({"options": {"colour": 1}}, r"sweep\.options\.colour is not a known key"),
            ({"options": {"x": 7.0}}, r"sweep\.options sets x, which .*sweep\.space varies"),
            ({"trials": 1}, r"sweep\.trials must be >= 2, got 1"),
            ({"workers": 0}, r"sweep\.workers must be >= 1, got 0"),
            ({"storage": "redis"}, r"sweep\.storage must be 'journal' or 'sql'"),
            ({"objective": "height", "pruner": {"kind": "median"}}, r"the metric height is known only when a trial is"),
        ],
    )
    def test_of_params(self, project, sweep, sentence):
        project(**sweep)
        with pytest.raises(InputError, match=sentence) as refusal:
            begun()
        assert "\n" not in str(refusal.value)
        assert not (settings().state / "sweep").exists()

    def test_of_options_that_do_not_go_together(self, project):
        project()
        done = subprocess.run([*WATTLINE, "--workers", "0"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "wattline: --workers must be >= 1, got 0\n")
        left_out = {"site": None, "workers": None, "write": False, "status_only": False, "worker": False}
        for given, sentence in (
            ({"worker": True, "write": True}, "--worker runs trials here and nothing else; leave out"),
            ({"worker": True, "site": "slurm-generic"}, "--worker runs trials here and nothing else; leave out"),
            ({"study": "valley-1"}, "--study is for --worker"),
            ({"status_only": True, "workers": 2}, "--status runs nothing and writes nothing"),
        ):
            with pytest.raises(InputError, match=sentence):
                running.ask(**{**left_out, "study": None, "name": None, "say": print, **given})
        with pytest.raises(InputError, match="was not begun"):
            running.status(say=lambda line: None)

    @pytest.mark.parametrize("address", ["postgresql://u@h:port/d", "postgresql", "redis://h", "postgresql+x://h/d"])
    def test_of_a_database_that_is_none(self, project, monkeypatch, address):
        project(storage="sql")
        monkeypatch.setenv("WATTLINE_SWEEP_STORAGE", address)
        settings.cache_clear()
        with pytest.raises(WattlineError, match="WATTLINE_SWEEP_STORAGE") as refusal:
            begun()
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("form", ["postgresql://{}@h/d", "postgresql+psycopg://h/d?password={}"])
    def test_of_an_address_that_would_show_a_password_in_the_script_of_a_job(self, project, monkeypatch, form):
        project(storage="sql")
        loaded = params.load()
        plan = planning.make(loaded, params.load_task(loaded.task))
        word = "open-sesame" if "?" in form else "a:open-sesame"
        monkeypatch.setenv("WATTLINE_SWEEP_STORAGE", form.format(word))
        settings.cache_clear()
        with pytest.raises(
            InputError, match="WATTLINE_SWEEP_STORAGE holds a password, which a job's script"
        ) as refusal:
            array.variables(plan)
        assert word not in str(refusal.value)

    def test_of_a_figure_that_no_trial_reports(self, project):
        project(objective="accuracy", trials=2)
        plan = begun()
        work(plan)
        with pytest.raises(
            WattlineError, match=r"neither a metric of the task nor a figure of its curves \(validation"
        ):
            running.run(say=lambda line: None)

    def test_of_a_worker_whose_code_is_another_one(self, project, monkeypatch):
        project(trials=2)
        plan = begun()
        monkeypatch.setattr(planning.files, "sources_digest", lambda *folders: "other")
        with pytest.raises(InputError, match="was changed since the study"):
            work(plan)

    def test_status_tells_how_far_it_is_and_changes_nothing(self, project):
        project(trials=3)
        plan = begun()
        said: list[str] = []
        running.status(say=said.append)
        assert "trials       0 of 3 done, 0 at work" in said
        work(plan)
        before = (plan.folder / storage.JOURNAL).read_bytes()
        running.status(say=said.append)
        assert "trials       3 of 3 done, 0 at work" in said
        assert (plan.folder / storage.JOURNAL).read_bytes() == before
        assert not (record.path_of(plan.folder, 3)).exists()


def processes_of(plan: Plan) -> list[int]:
    """Workers of a study that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if plan.study.encode() in words:
            found.append(int(path.parent.name))
    return found


def end(pid: int, number: signal.Signals) -> int:
    """End a process, and wait until it has let go of its files, which its last thread does."""
    os.kill(pid, number)
    wait_for(lambda: has_ended(pid))
    return pid


def has_ended(pid: int) -> bool:
    """Whether nothing of a process runs. Its first thread is a zombie already while others still end."""
    place = Path("/proc") / str(pid)
    try:
        return (place / "stat").read_text().rpartition(") ")[2][0] == "Z" and len(list((place / "task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True
