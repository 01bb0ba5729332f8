"""Checkpoints: whole or not at all, the newest whole one wins, and an attempt writes only until the next one begins."""

import errno
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from wattline.checkpoints import Kept, Told, joining, listening, stored
from wattline.checkpoints.attempt import Attempt
from wattline.errors import InputError, PausedError, SupersededError, WattlineError
from wattline.task import Checkpoint, Due, Processes


def at(step, *, value=None):
    """A checkpoint with all that is hard to keep: no axis, no rows, strides, more than one kind of number."""
    tensors = {
        "scalar": np.array(0.1 + step, np.float32),
        "empty": np.empty((0, 3), np.float64),
        "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "flags": np.array([True, False]),
    }
    return Checkpoint(step, tensors, {"curves": [{"loss": 0.1}], "value": value})


def steps(folder):
    return [path.name[:11] for path in sorted(folder.glob("attempt-*/step-*.safetensors"))]


def test_what_was_kept_comes_back_bit_for_bit(tmp_path):
    Kept(tmp_path).keep(at(7))
    found = Kept(tmp_path).newest()
    assert (found.step, found.notes) == (7, at(7).notes)
    assert found.tensors.keys() == at(7).tensors.keys()
    for name, tensor in at(7).tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        np.testing.assert_array_equal(found.tensors[name], tensor)


def test_before_the_first_one_there_is_none(tmp_path):
    assert Kept(tmp_path).newest() is None


def test_only_the_last_two_stay_whoever_wrote_them(tmp_path):
    for attempt in range(3):
        kept = Kept(tmp_path)
        for step in range(3):
            kept.keep(at(10 * attempt + step))
    assert steps(tmp_path) == ["step-000021", "step-000022"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attempt-0001", "attempt-0002", "attempt-0003"]


def test_a_step_that_is_kept_again_replaces_itself_alone(tmp_path):
    kept = Kept(tmp_path)
    for checkpoint in (at(1), at(2, value="first"), at(2, value="second"), at(2, value="second")):
        kept.keep(checkpoint)
    assert steps(tmp_path) == ["step-000001", "step-000002"]
    assert Kept(tmp_path).newest().notes["value"] == "second"


def test_the_order_is_that_of_attempts_and_steps_and_not_of_clocks(tmp_path):
    first = Kept(tmp_path)
    first.keep(at(1))
    Kept(tmp_path).keep(at(2))
    (ahead,) = tmp_path.glob("attempt-0001/step-*")
    os.utime(ahead, (2**33, 2**33))
    assert Kept(tmp_path).newest().step == 2


@given(place=some.floats(0, 1), how=some.sampled_from(["cut", "flipped", "emptied"]))
def test_a_spoilt_one_is_named_and_the_one_before_it_is_used(tmp_path_factory, place, how):
    folder = tmp_path_factory.mktemp("spoilt")
    kept = Kept(folder)
    kept.keep(at(1))
    kept.keep(at(2))
    path = max(folder.glob("attempt-0001/step-*"))
    content = bytearray(path.read_bytes())
    position = int(place * (len(content) - 1))
    if how == "flipped":
        content[position] ^= 1
    path.write_bytes({"cut": content[:position], "flipped": content, "emptied": b""}[how])
    later = Kept(folder)
    assert later.newest().step == 1
    assert Path(f"{path}.corrupt").exists()
    later.keep(at(2))
    assert [one.step for one in later._all()] == [1, 2], "the spoilt one takes no place"


def test_the_warning_names_the_file(tmp_path, caplog):
    kept = Kept(tmp_path)
    kept.keep(at(1))
    (path,) = tmp_path.glob("attempt-0001/step-*")
    path.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert Kept(tmp_path).newest() is None
    assert f"{path} was cut or altered" in caplog.text
    assert "no whole checkpoint is left" in caplog.text


def test_a_file_with_the_right_digest_that_wattline_did_not_write_is_not_used(tmp_path):
    Kept(tmp_path)
    digest = hashlib.sha256(b"").hexdigest()
    (tmp_path / "attempt-0001" / f"step-000009.{digest}.safetensors").touch()
    assert Kept(tmp_path).newest() is None


def test_one_of_another_training_is_refused_by_name(tmp_path):
    Kept(tmp_path, identity="a").keep(at(1))
    with pytest.raises(InputError, match="is a checkpoint of training a, and this is training b: rows, options"):
        Kept(tmp_path, identity="b").newest()


def test_one_that_cannot_be_read_is_not_passed_over(tmp_path):
    Kept(tmp_path).keep(at(1))
    (path,) = tmp_path.glob("attempt-0001/step-*")
    path.unlink()
    path.mkdir()
    with pytest.raises(WattlineError, match=r"cannot be read \(Is a directory\)"):
        Kept(tmp_path).newest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_notes_that_json_does_not_know_are_refused(tmp_path, value):
    with pytest.raises(InputError, match="notes of a checkpoint must be JSON"):
        Kept(tmp_path).keep(at(1, value=value))
    assert steps(tmp_path) == []


class TestNoRoom:
    """A full disk, or a quota: the former checkpoint stays."""

    @pytest.fixture(params=[errno.ENOSPC, errno.EDQUOT])
    def kept(self, request, tmp_path, monkeypatch):
        kept = Kept(tmp_path, minutes=1 / 60_000, told=Told())
        kept.keep(at(1))

        def full(_: int) -> None:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(stored.os, "fsync", full)
        return kept

    def test_the_training_goes_on_and_tries_again(self, kept, tmp_path, caplog, monkeypatch):
        kept.keep(at(2))
        assert "step 2 of the training cannot be kept" in caplog.text
        assert "the one of step 1 stays; the training goes on, make room" in caplog.text
        assert [path.name[:11] for path in tmp_path.glob("attempt-0001/step-*")] == ["step-000001"]
        monkeypatch.undo()
        while kept.due() is not Due.KEEP:
            pass
        kept.keep(at(3))
        assert steps(tmp_path) == ["step-000001", "step-000003"]

    def test_one_that_is_to_end_says_so(self, kept, tmp_path):
        with pytest.raises(WattlineError, match="the one of step 1 stays; make room and start the training again"):
            kept.keep(at(2), Due.STOP)
        assert steps(tmp_path) == ["step-000001"]


def test_a_real_disk_that_is_full_leaves_the_former_one(tmp_path):
    """The limit on the size of a file is the nearest thing to it that needs no rights."""
    program = f"""
import resource, signal
import numpy as np
from pathlib import Path
from wattline.checkpoints import Kept
from wattline.task import Checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = Kept(Path({str(tmp_path)!r}))
kept.keep(Checkpoint(1, {{"weights": np.zeros(100)}}, {{}}))
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
kept.keep(Checkpoint(2, {{"weights": np.zeros(10_000)}}, {{}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "step 2 of the training cannot be kept" in done.stderr
    assert [path.name[:11] for path in tmp_path.glob("attempt-0001/step-*")] == ["step-000001"]
    assert Kept(tmp_path).newest().step == 1


def test_a_process_killed_while_it_writes_leaves_the_former_one(tmp_path):
    Kept(tmp_path).keep(at(1))
    Kept(tmp_path)
    (tmp_path / "attempt-0002" / "step-000002.part").write_bytes(b"half")
    last = Kept(tmp_path)
    assert last.newest().step == 1
    last.keep(at(2))
    assert not list(tmp_path.rglob("*.part"))


class TestSecondCopy:
    def test_many_that_begin_at_once_have_a_folder_each(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            attempts = list(pool.map(lambda _: Attempt(tmp_path), range(40)))
        assert sorted(one.number for one in attempts) == list(range(1, 41))
        with pytest.raises(SupersededError):
            attempts[0].check()

    def test_the_former_one_writes_nothing_and_removes_nothing(self, tmp_path):
        former = Kept(tmp_path)
        former.keep(at(1))
        later = Kept(tmp_path)
        assert later.newest().step == 1
        with pytest.raises(SupersededError, match="attempt-0001 is superseded by attempt 2"):
            former.keep(at(2))
        with pytest.raises(SupersededError):
            former.check()
        later.keep(at(2))
        assert [path.parent.name for path in sorted(tmp_path.glob("*/step-*"))] == ["attempt-0001", "attempt-0002"]

    @pytest.mark.parametrize("again", [False, True])
    def test_one_whose_copy_has_ended_makes_nothing_anew(self, tmp_path, again):
        former = Kept(tmp_path / "training")
        later = Kept(tmp_path / "training")
        later.remove()
        assert list(tmp_path.iterdir()) == []
        if again:
            Kept(tmp_path / "training")
        with pytest.raises(SupersededError, match="was removed while this training ran"):
            former.keep(at(1))
        assert (tmp_path / "training").exists() == again
        assert steps(tmp_path / "training") == []


class TestDue:
    def test_it_is_time_after_the_minutes_and_then_again(self, tmp_path, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("wattline.checkpoints.kept.time.monotonic", lambda: now[0])
        kept = Kept(tmp_path, minutes=2)
        assert kept.due() is Due.NO
        now[0] = 120
        assert kept.due() is Due.KEEP
        kept.keep(at(1))
        assert kept.due() is Due.NO

    def test_only_the_first_process_tells_the_time(self, tmp_path):
        processes = Processes(1, 2, 1, "tcp://127.0.0.1:1")
        assert Kept(tmp_path, processes=processes, minutes=1e-9).due() is Due.NO

    def test_a_process_that_is_not_the_first_writes_nothing(self, tmp_path):
        other = Kept(tmp_path, processes=Processes(1, 2, 1, "tcp://127.0.0.1:1"))
        other.keep(at(1))
        other.check()
        with pytest.raises(PausedError, match="step 2 is kept") as paused:
            other.keep(at(2), Due.STOP)
        assert paused.value.exit_code == 75
        assert list(tmp_path.iterdir()) == []

    def test_of_several_none_ends_by_itself(self, tmp_path):
        told = Told()
        told.hear(signal.SIGUSR1)
        kept = Kept(tmp_path, processes=Processes(0, 2, 0, "tcp://127.0.0.1:1"), told=told)
        assert kept.due() is Due.STOP
        kept.keep(at(1))

    def test_one_that_is_alone_ends_at_its_next_checkpoint_though_it_does_not_ask(self, tmp_path):
        told = Told()
        kept = Kept(tmp_path, told=told)
        kept.keep(at(1))
        told.hear(signal.SIGTERM)
        with pytest.raises(PausedError, match="ended by SIGTERM; step 2 is kept") as ended:
            kept.keep(at(2))
        assert ended.value.exit_code == 143
        assert steps(tmp_path) == ["step-000001", "step-000002"]


class TestTold:
    def test_an_order_to_end_counts_more_than_the_notice_before_it(self):
        with listening() as told:
            told.heeded = True
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (told.by, told.to_end) == (signal.SIGUSR1, False)
            os.kill(os.getpid(), signal.SIGTERM)
            assert told.error("").exit_code == 143

    def test_a_second_ctrl_c_is_not_waited_with_and_a_second_sigterm_says_nothing_new(self):
        with listening() as told:
            told.heeded = True
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
                os.kill(os.getpid(), number)
            assert told.by == signal.SIGTERM
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)

    def test_the_second_sigterm_does_not_disturb_who_leaves_by_the_first(self):
        with listening():
            with pytest.raises(SystemExit) as ended:
                os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        assert ended.value.code == 143

    def test_who_does_not_listen_is_interrupted_as_ever(self):
        with pytest.raises(KeyboardInterrupt), listening():
            os.kill(os.getpid(), signal.SIGINT)

    def test_afterwards_signals_do_what_they_did_and_a_late_notice_kills_nobody(self):
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.getsignal(number) for number in numbers]
        former = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        try:
            with listening():
                pass
            os.kill(os.getpid(), signal.SIGUSR1)
            assert [signal.getsignal(number) for number in numbers] == before
        finally:
            signal.signal(signal.SIGUSR1, former)

    def test_outside_the_main_thread_nothing_is_heard_and_nothing_fails(self):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: listening().__enter__().by).result() is None


class TestTogether:
    """Processes that train together go on from the same checkpoint, which the first one chooses."""

    def asked(self, folder, *, launch="a", count=3):
        """What `newest` says in each of the processes; they come in no certain order."""

        def ask(rank: int) -> Checkpoint | None:
            processes = Processes(rank, count, rank, "tcp://127.0.0.1:1")
            return Kept(folder, processes=processes, launch=launch).newest()

        with ThreadPoolExecutor(count) as pool:
            found = [pool.submit(ask, rank) for rank in reversed(range(count))]
            return [one.result() for one in found]

    def test_all_begin_from_nothing(self, tmp_path):
        assert self.asked(tmp_path) == [None, None, None]

    def test_all_go_on_from_the_same_one_though_their_launch_has_the_name_of_an_earlier_one(self, tmp_path):
        for step in (1, 2):
            self.asked(tmp_path)
            (number,) = [len(list(tmp_path.glob("attempt-*")))]
            stored.write(tmp_path / f"attempt-{number:04}", at(step), identity="")
        assert [one.step for one in self.asked(tmp_path)] == [2, 2, 2]

    def test_a_spoilt_one_is_passed_over_by_all(self, tmp_path):
        kept = Kept(tmp_path)
        for step in (1, 2):
            kept.keep(at(step))
        max(tmp_path.glob("attempt-0001/step-*")).write_bytes(b"")
        assert [one.step for one in self.asked(tmp_path)] == [1, 1, 1]

    def test_one_that_does_not_come_is_named(self, tmp_path):
        with pytest.raises(WattlineError, match=r"process 1 of 2 that train together did not ask .* within 0\.2 s"):
            joining.gather(tmp_path, "a", count=2, seconds=0.2)

    def test_a_first_one_that_says_nothing_is_named(self, tmp_path):
        with pytest.raises(WattlineError, match=r"process 0 said nothing within 0\.2 s of where process 1 is to go on"):
            joining.join(tmp_path, "a", rank=1, seconds=0.2)

    def test_what_an_earlier_process_left_does_not_stand_for_the_one_of_now(self, tmp_path):
        Kept(tmp_path).keep(at(1))
        (tmp_path / "joining").mkdir()
        (tmp_path / "joining" / "a.1").write_text("of somebody who died")
        threads = threading.active_count()
        assert [one.step for one in self.asked(tmp_path, count=2)] == [1, 1]
        assert threading.active_count() == threads

    def test_a_node_that_does_not_see_the_file_says_so(self, tmp_path):
        kept = Kept(tmp_path)
        kept.keep(at(1))
        other = Kept(tmp_path, processes=Processes(1, 2, 1, "tcp://127.0.0.1:1"))
        with pytest.raises(WattlineError, match="from which process 0 goes on, is not seen by process 1"):
            other._named("attempt-0001/step-000002.x.safetensors")
