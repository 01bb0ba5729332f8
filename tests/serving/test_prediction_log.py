"""The log of answers: nothing written twice or by half, nobody made to wait, and whatever is lost is counted."""

import hashlib
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wattline import files, predictions
from wattline.errors import InputError
from wattline.params.serving import LogParams
from wattline.serving.ids import new_id
from wattline.serving.prediction_log import partitions
from wattline.serving.prediction_log.log import Answers, PredictionLog, digest
from wattline.serving.protocol.feedback import Feedback

NOON = 1_773_144_000 * 10**9
"""2026-03-10 12:00 UTC [ns]."""
WINDOW = np.arange(12, dtype=np.float32).reshape(4, 3)
NEVER = 86400.0


class Counted:
    """Adds up what the log reports."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int) -> None:
        self.numbers.append(number)

    @property
    def total(self) -> int:
        return sum(self.numbers)


def answers(name: str, **changes: Any) -> Answers:
    """The answer to one window, or to as many as there are scores in `changes`."""
    fields = {
        "id": name, "answered_ns": NOON, "units": ["node-01"], "digests": [digest(WINDOW)], "scores": [1.5],
        "thresholds": [2.0], "model": "anomaly", "version": "7", "digest": "d" * 64, "route": "/predict",
        "principal": "key-1", "role": "stable", "single": True, **changes,
    }  # fmt: skip
    return Answers(**fields)


class Log:
    """A log with everything that is counted about it."""

    def __init__(self, folder: Path, *, worker: str = "0", most: int = 1000, flush_seconds: float = NEVER) -> None:
        self.dropped, self.written, self.folder = Counted(), Counted(), folder
        params = LogParams(folder=str(folder), queue_records=most, flush_seconds=flush_seconds)
        self.log = PredictionLog(params, worker=worker, on_drop=self.dropped, on_write=self.written)

    def put(self, name: str, **changes: Any) -> None:
        self.log.record(answers(name, **changes))

    def flush(self) -> None:
        """Have everything written that waits, as the writer does when its queue fills up."""
        wanted = self.written.total + self.dropped.total + self.log._answers.waiting
        self.log.flush()
        until(lambda: self.written.total + self.dropped.total >= wanted)

    def rows(self) -> list[dict[str, Any]]:
        return predictions.read(self.folder).to_pylist()

    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows()]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come true."""
    for _ in range(12000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    logs: list[Log] = []

    def make(folder: Path = tmp_path / "log", **options: Any) -> Log:
        logs.append(Log(folder, **options))
        return logs[-1]

    yield make
    for log in logs:
        log.log.close()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that takes nothing until the event is set."""
    answer, write = threading.Event(), files.write_bytes

    def hang(path: Path, content: bytes) -> None:
        answer.wait()
        write(path, content)

    monkeypatch.setattr(files, "write_bytes", hang)
    yield answer
    answer.set()


def raises(*_: Any, **__: Any) -> None:
    raise TypeError("no error of a disk")


def parquet_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("date=*/*.parquet"))


def test_what_was_answered_is_what_is_read(open_log):
    log = open_log()
    window = np.array([[1.5, np.nan, -0.0]] * 4, dtype=np.float32)
    log.put("a", digests=[digest(window)], units=["nœud ✓"], answered_ns=NOON + 1_999)
    log.put("b", scores=[math.nan], thresholds=[math.nan], answered_ns=NOON + 5_000)
    log.log.close()
    a, b = log.rows()
    assert a == {
        "id": "a", "answered_at": a["answered_at"], "unit": "nœud ✓", "score": 1.5, "threshold": 2.0, "alarm": False,
        "input_sha256": hashlib.sha256(window.tobytes()).hexdigest(), "model": "anomaly", "version": "7",
        "digest": "d" * 64, "route": "/predict", "principal": "key-1", "role": "stable",
    }  # fmt: skip
    assert a["answered_at"].isoformat() == "2026-03-10T12:00:00.000001+00:00"
    assert (b["score"], b["threshold"], b["alarm"]) == (None, None, None)
    assert (log.written.total, log.dropped.total) == (2, 0)


def test_each_window_of_a_large_request_has_a_row_of_its_own(open_log):
    log = open_log()
    windows = np.arange(300 * 12, dtype=np.float32).reshape(300, 4, 3)
    scores = [float(at) for at in range(300)]
    units = [f"node-{at:03}" for at in range(300)]
    many = {"units": units, "digests": [digest(window) for window in windows], "scores": scores, "single": False}
    log.log.record(answers("with", thresholds=[149.5] * 300, **many))
    log.log.record(answers("without", thresholds=None, answered_ns=NOON + 10**9, **many))
    log.log.close()
    rows = {row["id"]: row for row in log.rows()}
    assert len(rows) == 600
    assert log.written.total == 600
    for at in range(300):
        row = rows[f"with.{at}"]
        assert (row["unit"], row["score"], row["alarm"]) == (units[at], at, at > 149)
        assert row["input_sha256"] == hashlib.sha256(windows[at].tobytes()).hexdigest()
        row = rows[f"without.{at}"]
        assert (row["score"], row["threshold"], row["alarm"]) == (at, None, None)


def test_answers_reach_a_file_without_anybody_asking(open_log):
    log = open_log(flush_seconds=0.05)
    log.put("a")
    until(lambda: log.ids() == ["a"])


def test_a_queue_that_fills_up_is_written_before_its_time(open_log):
    log = open_log(most=10)
    for place in range(7):
        log.put(str(place))
    until(lambda: log.written.total == 7)
    assert not log.dropped.numbers


def test_each_utc_day_has_its_own_folder(open_log):
    log = open_log()
    midnight = NOON + 12 * 3600 * 10**9
    for place, instant in enumerate((midnight - 1, midnight, midnight - 1, midnight + 86400 * 10**9)):
        log.put(str(place), answered_ns=instant)
    log.log.close()
    days = [path.parent.name for path in parquet_files(log.folder)]
    assert days == ["date=2026-03-10", "date=2026-03-11", "date=2026-03-12"]
    assert sorted(log.ids()) == ["0", "1", "2", "3"]


def test_a_full_queue_drops_counts_and_never_waits_for_a_disk_that_hangs(open_log, hanging):
    log = open_log(most=50)
    for place in range(1000):
        log.put(str(place))
        assert log.log._answers.waiting <= 50 + 128
    until(lambda: log.log._answers.taken > 0)
    before = log.log._answers.waiting
    for place in range(100):
        log.put(f"late-{place}")
    assert log.log._answers.waiting <= max(before, 50)
    hanging.set()
    log.log.close()
    assert log.written.total + log.dropped.total == 1100
    assert log.dropped.total >= 1000
    assert len(set(log.ids())) == log.written.total


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_digest_is_of_the_window_however_it_lies_in_memory(order):
    rows = np.asarray(np.arange(18, dtype=np.float32).reshape(6, 3), order=order)
    for window in np.lib.stride_tricks.sliding_window_view(rows, (4, 3))[:, 0]:
        assert digest(window) == hashlib.sha256(window.tobytes()).hexdigest()


def test_a_folder_that_cannot_be_written_is_said_once_counted_and_used_again_when_it_can_be(open_log, tmp_path, caplog):
    folder = tmp_path / "log"
    folder.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        log = open_log(folder)
        for place in range(3):
            log.put(f"lost-{place}")
            log.flush()
        assert (log.written.total, log.dropped.total) == (0, 3)
        folder.unlink()
        log.put("kept")
        log.flush()
        log.put("kept too")
        log.flush()
    assert log.ids() == ["kept", "kept too"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "3 were lost" in caplog.messages[-1]


def test_a_full_disk_leaves_no_half_file(open_log, monkeypatch):
    log = open_log()
    log.put("a")
    log.flush()
    write = Path.replace

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    log.put("b")
    log.flush()
    monkeypatch.setattr(Path, "replace", write)
    log.put("c")
    log.log.close()
    assert log.ids() == ["a", "c"]
    assert log.dropped.total == 1
    assert not [path for path in log.folder.rglob("*") if path.is_file() and path.name.endswith(str(os.getpid()))]


WRITER = """
import sys, time
import numpy as np
from wattline.params.serving import LogParams
from wattline.serving.prediction_log.log import Answers, PredictionLog, digest

def written(count):
    print(count, flush=True)

params = LogParams(folder=sys.argv[1], queue_records=10000, flush_seconds=0.02)
log = PredictionLog(params, worker="0", on_drop=lambda _: None, on_write=written)
window = np.zeros((4, 3), dtype=np.float32)
for place in range(10**9):
    identity = ("m", "1", "d", "/predict", "p", "stable", True)
    log.record(Answers(f"{place:09}", time.time_ns(), ["u"], [digest(window)], [1.0], [2.0], *identity))
    time.sleep(0.0002)
    if place == 0:
        assert "pyarrow" not in sys.modules
"""


def test_a_killed_server_leaves_what_it_had_written_and_nothing_that_cannot_be_read(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        count = 0
        while count < 300:
            count += int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        count += sum(int(line) for line in process.stdout if line.endswith("\n"))
    ids = [row["id"] for row in predictions.read(tmp_path).to_pylist()]
    assert len(ids) >= count
    assert ids == [f"{place:09}" for place in range(len(ids))]


def test_leftovers_are_removed_by_the_next_process_of_the_same_name_only(open_log, tmp_path):
    partition = tmp_path / "log" / "date=2026-03-10"
    partition.mkdir(parents=True)
    mine, others = f".0-{new_id()}.parquet.77", (f".1-{new_id()}.parquet.77", f".0-1-{new_id()}.parquet.77", ".keep")
    for name in (mine, *others):
        (partition / name).write_bytes(b"half")
    open_log(worker="0").log.close()
    assert sorted(path.name for path in partition.iterdir()) == sorted(others)


def test_a_server_that_takes_over_from_one_of_its_name_leaves_the_files_of_both(open_log, monkeypatch):
    monkeypatch.setattr(partitions, "FILES", 2)
    former = open_log()
    former.put("before")
    former.flush()
    unfinished = former.folder / "date=2026-03-10" / f".0-{new_id()}.parquet.77"
    unfinished.write_bytes(b"being written by the former")
    successor = open_log()
    for place in range(5):
        former.put(f"former-{place}")
        former.flush()
        successor.put(f"successor-{place}")
        successor.flush()
    successor.log.close()
    assert unfinished.exists()
    former.log.close()
    assert len(former.ids()) == 11
    open_log().log.close()
    assert not unfinished.exists()


def test_many_small_files_become_few_and_a_reader_never_sees_a_row_twice_or_misses_one(open_log, monkeypatch):
    monkeypatch.setattr(partitions, "FILES", 4)
    log = open_log(worker="a")
    neighbour = open_log(worker="b")
    neighbour.put("of b")
    neighbour.flush()
    for place in range(14):
        log.put(f"{place:02}", answered_ns=NOON + place * 1000)
        log.flush()
        found = [name for name in log.ids() if name != "of b"]
        assert found == [f"{number:02}" for number in range(place + 1)]
        assert len(parquet_files(log.folder)) <= 4 + 2
    assert len(list(log.folder.glob("date=*/b-*"))) == 1


def test_a_merge_that_dies_half_way_loses_and_doubles_nothing(open_log, monkeypatch):
    monkeypatch.setattr(partitions, "FILES", 3)
    log = open_log()
    unlink = Path.unlink

    def dies(path: Path, **options: Any) -> None:
        if path.suffix == ".parquet":
            raise OSError(5, "Input/output error")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", dies)
    for place in range(8):
        log.put(str(place))
        log.flush()
    assert len(parquet_files(log.folder)) > 8
    assert sorted(log.ids()) == [str(place) for place in range(8)]
    assert (log.written.total, log.dropped.total) == (8, 0)


def test_the_last_files_of_a_day_are_merged_on_the_next(open_log):
    log = open_log()
    for place in range(5):
        log.put(str(place))
        log.flush()
    log.put("tomorrow", answered_ns=NOON + 86400 * 10**9)
    log.log.close()
    assert [path.parent.name for path in parquet_files(log.folder)] == ["date=2026-03-10", "date=2026-03-11"]
    assert len(log.ids()) == 6


def test_what_is_merged_at_once_is_bounded_and_large_files_are_left_alone(open_log, monkeypatch):
    log = open_log()
    log.put("a")
    log.flush()
    (first,) = parquet_files(log.folder)
    monkeypatch.setattr(partitions, "FILES", 3)
    monkeypatch.setattr(partitions, "SMALL_BYTES", int(first.stat().st_size * 1.2))
    monkeypatch.setattr(partitions, "MERGED_BYTES", int(first.stat().st_size * 2.5))
    for place in range(6):
        log.put(f"{place}" * 200)
        log.flush()
    assert len(log.ids()) == 7
    assert first.exists() is False
    assert len(parquet_files(log.folder)) < 7


def test_a_file_of_ours_that_broke_stays_and_holds_nothing_up(open_log, monkeypatch):
    monkeypatch.setattr(partitions, "FILES", 3)
    log = open_log()
    log.put("first")
    log.flush()
    (broken,) = parquet_files(log.folder)
    broken.write_bytes(b"PAR1" + b"\xff" * 200 + b"PAR1")
    for place in range(9):
        log.put(str(place))
        log.flush()
    assert (log.written.total, log.dropped.total) == (10, 0)
    with pytest.raises(InputError, match=broken.name):
        log.ids()
    broken.unlink()
    assert len(log.ids()) == 9


def test_a_file_of_ours_with_other_columns_stays_and_holds_nothing_up(open_log, monkeypatch, caplog):
    monkeypatch.setattr(partitions, "FILES", 3)
    log = open_log()
    log.put("first")
    log.flush()
    (other,) = parquet_files(log.folder)
    pq.write_table(pa.table({"id": ["of another release"], "mood": [1]}), other)
    with caplog.at_level(logging.WARNING):
        for place in range(9):
            log.put(str(place))
            log.flush()
    assert (log.written.total, log.dropped.total) == (9 + 1, 0)
    assert pq.read_table(other).column_names == ["id", "mood"]
    assert [other.name in message for message in caplog.messages] == [True]
    other.unlink()
    assert len(log.ids()) == 9
    assert len(parquet_files(log.folder)) < 9


def test_a_fault_that_is_none_of_the_disk_is_counted_and_the_next_rows_are_written(open_log, monkeypatch):
    log = open_log()
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "_parquet", raises)
        log.put("lost")
        log.flush()
    assert (log.written.total, log.dropped.total) == (0, 1)
    log.put("kept")
    log.flush()
    assert log.ids() == ["kept"]


def test_a_fault_in_merging_loses_no_rows_and_counts_none(open_log, monkeypatch, caplog):
    monkeypatch.setattr(partitions, "FILES", 1)
    monkeypatch.setattr(partitions.Partitions, "_merge", raises)
    log = open_log()
    for place in range(3):
        log.put(str(place))
        log.flush()
    assert log.ids() == ["0", "1", "2"]
    assert (log.written.total, log.dropped.total) == (3, 0)
    assert "could not be merged" in caplog.messages[0]


def test_a_former_day_that_is_gone_does_not_end_the_tidying_of_the_next(open_log, monkeypatch):
    monkeypatch.setattr(partitions, "FILES", 3)
    log = open_log()
    log.put("yesterday")
    log.flush()
    shutil.rmtree(log.folder / "date=2026-03-10")
    for place in range(9):
        log.put(str(place), answered_ns=NOON + 86400 * 10**9 + place * 1000)
        log.flush()
    assert log.ids() == [str(place) for place in range(9)]
    assert len(parquet_files(log.folder)) <= 3 + 2


def test_a_callers_broken_text_is_written_and_takes_nobody_with_it(open_log):
    log = open_log()
    log.put("a", units=["\ud800"], principal="half \udfff")
    log.put("b", units=["x" * 10**6])
    log.log.close()
    a, b = log.rows()
    assert (a["unit"], a["principal"]) == ("?", "half ?")
    assert len(b["unit"]) == 256


def test_a_row_that_cannot_be_written_is_counted_and_the_next_ones_are_written(open_log):
    log = open_log()
    log.put("broken", model=7)
    log.flush()
    assert log.dropped.total == 1
    log.put("whole")
    log.flush()
    assert log.ids() == ["whole"]


def test_after_the_end_answers_are_dropped_and_counted(open_log):
    log = open_log()
    log.log.close()
    log.put("late")
    assert log.dropped.total == 1
    assert log.log.feedback([Feedback("late", 1)], principal="p") is False


def test_the_end_does_not_wait_for_ever_for_a_disk_that_hangs(open_log, hanging):
    log = open_log()
    for place in range(5):
        log.put(str(place))
    log.log.close(seconds=0.05)
    assert log.dropped.total == 5


def test_feedback_is_joined_with_its_answer_and_says_who_gave_it(open_log):
    log = open_log()
    log.put("a", answered_ns=time.time_ns())
    assert log.log.feedback([Feedback("a", 1, "fan broken", 1_000_000), Feedback("ghost", 0)], principal="ann")
    assert log.log.feedback([Feedback("a", 0)], principal="bob")
    log.log.close()
    found = predictions.joined(log.folder)
    (row,) = found.answers.to_pylist()
    assert (row["label"], row["label_by"]) == (0, "bob")
    assert [one["prediction"] for one in found.unmatched.to_pylist()] == ["ghost"]
    everything = predictions.read_feedback(log.folder).to_pylist()
    assert sorted((one["by"], one["comment"]) for one in everything if one["prediction"] == "a") == [
        ("ann", "fan broken"),
        ("bob", None),
    ]


def test_of_one_request_the_later_remark_on_the_same_answer_counts(open_log):
    log = open_log()
    log.put("a", answered_ns=time.time_ns())
    log.log.feedback([Feedback("a", 1), Feedback("a", None), Feedback("a", 0)], principal="ann")
    log.log.close()
    assert predictions.joined(log.folder).answers["label"].to_pylist() == [0]


def test_feedback_outlives_a_disk_that_fails_and_is_refused_when_there_is_no_room(open_log, tmp_path):
    folder = tmp_path / "log"
    folder.write_text("in the way")
    log = open_log(folder, most=3)
    assert log.log.feedback([Feedback("a", 1)] * 2, principal="ann")
    log.put("lost")
    log.flush()
    until(lambda: log.log._feedback.taken == 2)
    assert log.log.feedback([Feedback("b", 1)] * 2, principal="ann") is False
    assert log.log.feedback([Feedback("c", 1)], principal="ann")
    folder.unlink()
    log.log.close()
    assert sorted(predictions.read_feedback(folder)["prediction"].to_pylist()) == ["a", "a", "c"]


def test_more_feedback_at_once_than_the_queue_is_long_is_still_taken_by_an_empty_one(open_log):
    log = open_log(most=3)
    assert log.log.feedback([Feedback(str(place), 1) for place in range(10)], principal="ann")
    log.log.close()
    assert predictions.read_feedback(log.folder).num_rows == 10


@pytest.mark.parametrize("worker", ["", "../x", ".hidden", "a/b", "a" * 64, "a b", "é"])
def test_a_worker_whose_name_cannot_be_in_a_files_name_is_refused(tmp_path, worker):
    with pytest.raises(InputError, match="worker must be"):
        Log(tmp_path, worker=worker)


def test_names_are_unique_across_threads_and_forks_and_of_one_shape():
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(new_id() for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "\n".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        made += stream.read().split("\n")
    made += [new_id() for _ in range(100)]
    assert len(made) == len(set(made)) == 8200
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef-") for name in made)


def test_names_of_one_process_sort_in_the_order_they_were_made():
    made = [new_id() for _ in range(300)]
    assert made == sorted(made)
