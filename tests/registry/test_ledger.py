"""One has the lock, its token grows, and who was overtaken writes nothing, whatever any clock says."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry import faults
from tests.registry.project import KEY
from wattline.errors import InputError, SupersededError, WattlineError
from wattline.registry.ledger import Ledger, clocks, connect
from wattline.registry.ledger.locking import Lock
from wattline.signing import entry as entries
from wattline.signing.entry import Actor

WHO = Actor(name="tester", kind="person")


def of(folder: Path, *, lock_seconds: float = 60, wait_seconds: float = 0.2) -> Ledger:
    return connect(f"sqlite:///{folder}/ledger.db", lock_seconds=lock_seconds, wait_seconds=wait_seconds)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = of(tmp_path)
    yield found
    found.close()


def append(ledger: Ledger, lock: Lock, reason: str = "") -> entries.Entry:
    return entries.unseal(ledger.append(lock, "refuse", key=KEY, actor=WHO, reason=reason), (KEY.public,))


def test_entries_come_back_as_signed_each_linked_to_the_one_before(ledger: Ledger):
    with ledger.locked("a") as lock:
        written = [append(ledger, lock, reason) for reason in ("one", "two")]
    assert [entries.peek(envelope) for envelope in ledger.envelopes()] == written
    assert [entry.previous for entry in written] == [entries.FIRST, written[0].hash]


def test_the_token_grows_with_each_who_takes_the_lock_and_each_model_has_its_own(ledger: Ledger):
    tokens = []
    for model in ("a", "a", "b", "a"):
        with ledger.locked(model) as lock:
            tokens.append(lock.token)
    assert tokens == [1, 2, 1, 3]


def test_one_model_is_locked_while_another_is_free(ledger: Ledger, tmp_path: Path):
    other = of(tmp_path)
    with ledger.locked("a"):
        assert ledger.is_locked("a")
        assert not ledger.is_locked("b")
        with other.locked("b"):
            pass
        with pytest.raises(WattlineError, match=rf"by process {os.getpid()} on .* for more than 0\.2 s"):
            other._take("a")
    assert not ledger.is_locked("a")
    other.close()


def test_the_lock_is_given_back_when_the_work_fails(ledger: Ledger):
    with pytest.raises(ZeroDivisionError), ledger.locked("a"):
        raise ZeroDivisionError
    assert not ledger.is_locked("a")


def test_who_was_overtaken_writes_nothing_and_takes_nothing_away(tmp_path: Path):
    slow, fast = of(tmp_path, lock_seconds=0.05), of(tmp_path, wait_seconds=5)
    late = slow._take("a")  # without a beat: it sleeps
    with fast.locked("a") as lock:
        assert lock.token == late.token + 1
        with pytest.raises(SupersededError, match=r"\(token 2, this one has 1\); nothing was written"):
            append(slow, late)
        assert not slow._renew(late)
        slow._give_back(late)
        assert fast.is_locked("a")
        append(fast, lock)
    assert len(fast.envelopes()) == 1
    with pytest.raises(SupersededError):
        append(slow, late)
    for one in (slow, fast):
        one.close()


def test_a_holder_that_lives_is_not_overtaken_however_long_it_works(tmp_path: Path):
    slow, fast = of(tmp_path, lock_seconds=0.4), of(tmp_path, wait_seconds=1.5)
    with slow.locked("a") as lock:
        with pytest.raises(WattlineError, match="is being changed by"):
            fast._take("a")
        append(slow, lock)
    for one in (slow, fast):
        one.close()


def test_the_lock_of_a_dead_process_is_free_at_once_even_when_nobody_has_buried_it(ledger: Ledger, tmp_path: Path):
    process = faults.fork(lambda: of(tmp_path)._take("a").token)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with ledger.locked("a") as lock:
        assert lock.token == 2
    assert process.wait().answer == 1


def test_a_clock_that_is_an_hour_off_neither_ends_nor_keeps_a_lock(ledger: Ledger, tmp_path: Path):
    other = of(tmp_path)
    for seconds in (3600, -3600):
        with ledger.locked("a"), faults.clock_off(seconds):  # noqa: SIM117 - one is held, the other fails
            with pytest.raises(WattlineError, match="is being changed"):
                other._take("a")
        with faults.clock_off(seconds), other.locked("a"):
            assert other.is_locked("a")
        assert not ledger.is_locked("a")
    other.close()


def test_a_lock_from_before_a_restart_of_the_machine_is_free(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    ledger._take("a")
    monkeypatch.setattr(clocks, "host", lambda: "here another-boot")
    with ledger.locked("a") as lock:
        assert lock.token == 2


def test_many_who_append_at_once_make_one_chain(tmp_path: Path):
    def some() -> int:
        ledger = of(tmp_path, wait_seconds=60)
        for _ in range(5):
            with ledger.locked("a") as lock:
                append(ledger, lock)
        return 5

    crowd = [faults.fork(some, line="begin") for _ in range(4)]
    for process in crowd:
        process.start()
    assert [process.wait().answer for process in crowd] == [5] * 4
    found = [entries.peek(envelope) for envelope in of(tmp_path).envelopes()]
    assert [entry.sequence for entry in found] == list(range(1, 21))
    assert [entry.token for entry in found] == sorted({entry.token for entry in found})


def test_many_who_make_the_tables_at_once_make_them_whole(tmp_path: Path):
    crowd = [faults.fork(lambda: of(tmp_path).close(), line="begin") for _ in range(4)]
    for process in crowd:
        process.start()
    assert [process.wait().kind for process in crowd] == ["returned"] * 4
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    connection.close()
    assert names == {"wattline_audit_no_update", "wattline_audit_no_delete"}


@pytest.mark.parametrize("number", range(1, 8))
def test_tables_that_were_made_by_half_do_not_stay_without_their_triggers(tmp_path: Path, number: int):
    def dying() -> None:
        from sqlalchemy import Engine, event

        seen = []

        def before(connection: object, cursor: object, statement: str, *_: object) -> None:
            if statement.lstrip().startswith("CREATE"):
                seen.append(statement)
                if len(seen) == number:
                    os.kill(os.getpid(), 9)

        event.listen(Engine, "before_cursor_execute", before)
        of(tmp_path).close()

    assert faults.fork(dying).wait().kind in ("killed", "returned")
    of(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
    connection.close()
    assert count == 2


@pytest.mark.parametrize("uri", ["mysql://u@h/d", "http://h:5000", "nonsense", "sqlite://", ""])
def test_a_database_that_cannot_keep_a_log_is_refused_with_what_to_set(uri: str):
    with pytest.raises(InputError, match="WATTLINE_LEDGER_URI"):
        connect(uri, lock_seconds=1, wait_seconds=1)
