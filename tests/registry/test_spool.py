"""What was trained without a network reaches the store later: all of it, in order, once, and with its own times."""

import contextlib
import hashlib
import itertools
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import training_energy

from wattline import files
from wattline.errors import IntegrityError, WattlineError
from wattline.records import Candidate
from wattline.registry import spool, spooled, store, tracking
from wattline.settings import settings

PARAMS: dict[str, str | float | int] = {"steps": 4, "ridge": 0.1, "model": "mean-abs"}
CURVES = [{"loss": 1.0 / (epoch + 1)} for epoch in range(30)]
STEPS = ("create_run", "log_batch", "set_terminated")
"""What sync calls of MLflow to write: the second one twice."""


@pytest.fixture
def candidate(project: Path) -> Candidate:
    return files.read_record(files.CANDIDATE / "candidate.json", Candidate)


@pytest.fixture
def offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, with the switch set."""
    monkeypatch.setenv("WATTLINE_OFFLINE", "1")
    settings.cache_clear()
    yield project
    settings.cache_clear()


def train(candidate: Candidate, ridge: float = 0.1) -> Path:
    return Path(
        tracking.log_training(candidate, params=PARAMS | {"ridge": ridge}, curves=CURVES, energy=training_energy(300))
    )


def runs(candidate: Candidate) -> list[Any]:
    """Runs in the store, the oldest first."""
    with store.session() as client:
        return sorted(tracking.runs(client, candidate), key=lambda run: run.info.start_time)


def check_whole(candidate: Candidate, run_id: str) -> None:
    """A run holds each figure of its training once."""
    with store.session() as client:
        run = client.get_run(run_id)
        history = client.get_metric_history(run_id, "loss")
        assert len(client.get_metric_history(run_id, "training_energy_joules")) == 1
    assert run.info.status == "FINISHED"
    assert run.data.params == {"steps": "4", "ridge": "0.1", "model": "mean-abs"}
    assert sorted((point.step, point.value) for point in history) == [(i, row["loss"]) for i, row in enumerate(CURVES)]
    assert run.data.metrics.keys() == {
        "loss",
        "parameters",
        "parity_max_abs",
        "training_attempts",
        "training_energy_joules",
        "training_energy_kwh",
        "training_seconds",
    }


class TestATrainingOffline:
    def test_is_kept_whole_and_unchangeable_and_asks_no_store(self, offline: Path, candidate: Candidate):
        (offline / ".wattline" / "mlflow.db").unlink()
        path = train(candidate)
        assert path == Path(".wattline/offline/000001.json")
        assert path.stat().st_mode & 0o777 == 0o444
        assert [one.name for one in path.parent.iterdir()] == ["000001.json"], "no temporary file is left"
        kept = spooled.read(path)
        assert kept.candidate == candidate
        assert kept.curves == tuple(CURVES)
        assert kept.tags["wattline.candidate"] == candidate.digest
        assert kept.ended_ms - kept.started_ms == 1000
        assert not (offline / ".wattline" / "mlflow.db").exists()

    def test_imports_nothing_of_mlflow(self, offline: Path, candidate: Candidate):
        code = (
            "import sys; from wattline import files; from wattline.records import Candidate\n"
            "from wattline.registry import tracking\n"
            "record = files.read_record(files.CANDIDATE / 'candidate.json', Candidate)\n"
            "print(tracking.log_training(record, params={'a': 1}, curves=[{'loss': 1.0}]))\n"
            "print([name for name in sys.modules if name.split('.')[0] in ('mlflow', 'sqlalchemy', 'requests')])\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (".wattline/offline/000001.json\n[]\n", "")

    def test_keeps_figures_that_json_has_no_word_for(self, offline: Path, candidate: Candidate):
        curves = [{"loss": math.nan, "bound": math.inf, "floor": -math.inf, "tenth": 0.1}]
        path = Path(tracking.log_training(candidate, params=PARAMS, curves=curves))
        [found] = spooled.read(path).curves
        assert math.isnan(found["loss"])
        assert (found["bound"], found["floor"], found["tenth"]) == (math.inf, -math.inf, 0.1)

    def test_gets_a_number_of_its_own_when_many_end_at_once(self, offline: Path, candidate: Candidate):
        with ThreadPoolExecutor(16) as pool:
            paths = list(pool.map(lambda place: train(candidate, place), range(64)))
        assert sorted(path.name for path in paths) == [f"{number:06}.json" for number in range(1, 65)]
        assert {spooled.read(path).params["ridge"] for path in paths} == {str(place) for place in range(64)}


class TestSync:
    def test_sends_in_order_and_keeps_what_was_sent(self, offline: Path, candidate: Candidate):
        kept = [train(candidate, ridge) for ridge in (0.1, 0.2, 0.3)]
        sent = spool.sync()
        assert [one.record for one in sent] == [f".wattline/offline/sent/{path.name}" for path in kept]
        assert all(Path(one.record).is_file() for one in sent)
        with store.session() as client:
            ridges = [client.get_run(one.run_id).data.params["ridge"] for one in sent]
        assert ridges == ["0.1", "0.2", "0.3"]
        assert spool.sync() == []
        assert len(runs(candidate)) == 3
        assert train(candidate).name == "000004.json", "a number is not given twice"

    def test_keeps_times_origin_and_figures_of_the_training(
        self, offline: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
    ):
        Path("dvc.lock").write_text("stages: {}\n")
        with monkeypatch.context() as patch:
            patch.setattr(tracking.time, "time_ns", lambda: 1_700_000_000_000_000_000)
            train(candidate)
        digest = files.sha256(Path("dvc.lock"))
        Path("dvc.lock").write_text("stages: {later: {}}\n")
        [sent] = spool.sync()
        check_whole(candidate, sent.run_id)
        with store.session() as client:
            run = client.get_run(sent.run_id)
            points = client.get_metric_history(sent.run_id, "loss")
        assert (run.info.start_time, run.info.end_time) == (1_699_999_999_000, 1_700_000_000_000)
        assert {point.timestamp for point in points} == {1_700_000_000_000}
        assert run.data.tags["wattline.lock"] == digest, "the origin is that of the training, not of the sync"
        assert run.data.tags["wattline.training_energy"] == "estimated: CPU time x 12.5 W/core"

    def test_makes_one_run_of_the_same_training_done_twice(self, offline: Path, candidate: Candidate):
        train(candidate)
        train(candidate)
        first, second = spool.sync()
        assert first.run_id == second.run_id
        assert len(runs(candidate)) == 1

    def test_with_nothing_to_send_asks_no_store(self, unreachable: Path):
        assert spool.sync() == []

    def test_by_two_at_once_sends_each_once(self, offline: Path, candidate: Candidate):
        for ridge in (0.1, 0.2, 0.3):
            train(candidate, ridge)
        together = multiprocessing.get_context("fork").Barrier(3)

        def sync() -> None:
            together.wait()
            spool.sync()

        children = [forked(sync) for _ in range(3)]
        assert [lived(child) for child in children] == [True] * 3
        assert [run.info.status for run in runs(candidate)] == ["FINISHED"] * 3
        assert len(list(spooled.sent_folder().iterdir())) == 3
        assert spooled.waiting() == []


class TestAKilledSync:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("place", range(5))
    def test_repeated_leaves_one_whole_run_and_no_half_one(
        self, offline: Path, candidate: Candidate, place: int, after: bool
    ):
        train(candidate)
        assert not lived(forked(lambda: dying_sync(place, after=after)))
        if spooled.waiting():
            assert not lived(forked(lambda: dying_sync(0, after=after))), "the next one does not fare better"
        spool.sync()
        [run] = runs(candidate)
        check_whole(candidate, run.info.run_id)
        assert [path.name for path in spooled.sent_folder().iterdir()] == ["000001.json"]
        assert spooled.waiting() == []

    def test_within_any_of_its_transactions_is_repeated_all_the_same(
        self, offline: Path, candidate: Candidate, empty_store: Path, monkeypatch: pytest.MonkeyPatch
    ):
        train(candidate)
        pristine = spooled.waiting()[0].read_bytes()
        for statement in itertools.count(0, 11):
            shutil.copyfile(empty_store, offline / ".wattline" / f"{statement}.db")
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{offline}/.wattline/{statement}.db")
            settings.cache_clear()
            if lived(forked(lambda statement=statement: sync_dying_in_sql(statement))):
                break
            spool.sync()
            [run] = runs(candidate)
            check_whole(candidate, run.info.run_id)
            [record] = spooled.sent_folder().iterdir()
            assert record.read_bytes() == pristine
            record.rename(spooled.folder() / record.name)
        assert statement > 50, "there were statements to be killed in"

    def test_between_two_records_goes_on_with_the_second(self, offline: Path, candidate: Candidate):
        train(candidate, 0.1)
        train(candidate, 0.2)
        assert not lived(forked(lambda: dying_sync(6, after=True)))
        [sent] = spool.sync()
        assert sent.record.endswith("000002.json")
        assert sorted(run.data.params["ridge"] for run in runs(candidate)) == ["0.1", "0.2"]
        assert {run.info.status for run in runs(candidate)} == {"FINISHED"}

    def test_whose_training_was_logged_otherwise_meanwhile_leaves_no_half_run(
        self, offline: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
    ):
        train(candidate)
        assert not lived(forked(lambda: dying_sync(1, after=True)))
        monkeypatch.delenv("WATTLINE_OFFLINE")
        settings.cache_clear()
        logged = tracking.log_training(candidate, params=PARAMS, curves=CURVES, energy=training_energy(300))
        [sent] = spool.sync()
        assert sent.run_id == logged
        assert [run.info.run_id for run in runs(candidate)] == [logged]


def test_a_training_that_an_earlier_version_kept_is_sent(offline: Path, candidate: Candidate):
    """Its energy has neither attempts nor the fields that came later; its digest is that of what was written."""
    path = train(candidate)
    content = json.loads(path.read_bytes())
    earlier = {"joules", "interval", "provenance", "sensor", "boundary", "seconds"}
    total = content["training"]["energy"]["total"]
    content["training"]["energy"] = {name: value for name, value in total.items() if name in earlier}
    sha256 = hashlib.sha256((json.dumps(content["training"], indent=2) + "\n").encode()).hexdigest()
    path.chmod(0o644)
    path.write_text(json.dumps({"sha256": sha256, "training": content["training"]}, indent=2) + "\n")
    (sent,) = spool.sync()
    with store.session() as client:
        metrics = client.get_run(sent.run_id).data.metrics
    assert metrics["training_energy_joules"] == 300
    assert "training_attempts" not in metrics


class TestASyncThatCannot:
    @pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "extended", "spaced", "replaced"])
    def test_read_a_record_names_it_sends_those_before_and_holds_back_the_rest(
        self, offline: Path, candidate: Candidate, damage: str
    ):
        kept = [train(candidate, ridge) for ridge in (0.1, 0.2, 0.3)]
        content = kept[1].read_bytes()
        kept[1].chmod(0o644)
        damaged = {
            "flipped": content.replace(b'"0.2"', b'"0.9"'),
            "cut": content[:-10],
            "emptied": b"",
            "extended": content + b"\n",
            "spaced": content.replace(b": ", b":", 1),
            "replaced": b'{"sha256": "0", "training": null}',
        }[damage]
        kept[1].write_bytes(damaged)
        for _ in range(2):
            with pytest.raises(IntegrityError, match=r"000002\.json .*restore it or move it away"):
                spool.sync()
        assert [run.data.params["ridge"] for run in runs(candidate)] == ["0.1"]
        assert kept[1].read_bytes() == damaged, "what is damaged is not lost"
        kept[1].write_bytes(content)
        assert len(spool.sync()) == 2

    def test_tell_a_foreign_file_from_a_record_names_it(self, offline: Path, candidate: Candidate):
        train(candidate)
        (spooled.folder() / "copy of 000001.json").write_text("{}")
        with pytest.raises(IntegrityError, match=r"copy of 000001\.json has a name that no record has"):
            spool.sync()
        assert runs(candidate) == []

    def test_reach_the_store_changes_nothing(
        self, offline: Path, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
    ):
        path = train(candidate)
        content = path.read_bytes()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://name:secret@127.0.0.1:9")
        settings.cache_clear()
        with pytest.raises(WattlineError, match=r"000001\.json was not sent and stays: .*127\.0\.0\.1:9") as caught:
            spool.sync()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == content
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        settings.cache_clear()
        assert len(spool.sync()) == 1

    def test_make_the_store_take_a_record_names_it_and_leaves_no_running_run(self, offline: Path, candidate: Candidate):
        tracking.log_training(candidate, params={"not / a : name?": 1}, curves=CURVES)
        for _ in range(2):
            with pytest.raises(WattlineError, match=r"000001\.json was not sent and stays: the MLflow store"):
                spool.sync()
        assert [run.info.status for run in runs(candidate)] == ["FAILED"], "one, however often it is tried"
        assert len(spooled.waiting()) == 1


def dying_sync(place: int, *, after: bool) -> None:
    """Sync, and be killed at write number `place`, counted over MLflow's calls and the move to sent/."""
    from mlflow import MlflowClient

    count = 0

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            mine, count = count, count + 1
            if mine == place and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = real(*arguments, **options)
            if mine == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    for name in STEPS:
        setattr(MlflowClient, name, deadly(getattr(MlflowClient, name)))
    spooled.mark_sent = deadly(spooled.mark_sent)
    spool.sync()


def sync_dying_in_sql(statement: int) -> None:
    """Sync, and be killed before SQL statement number `statement`."""
    import sqlalchemy

    count = itertools.count()

    def die(*_: object) -> None:
        if next(count) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", die)
    spool.sync()


def forked(work: Callable[[], object]) -> int:
    """Start `work` in a child of its own; gives its number."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return child


def lived(child: int) -> bool:
    """Whether a child came to its end. Being killed is the one other end."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0
    return True
