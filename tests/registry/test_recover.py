"""After a crash, or a hand on the alias, one command makes served = alias = last entry, and says what it cannot do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry import faults
from tests.registry.invariants import check, check_strictly
from tests.registry.project import (
    NAME,
    acts,
    alias,
    another,
    champion_of_log,
    delete,
    fetch,
    following,
    log,
    move_alias,
    opened,
    promote,
    promoted,
    recover,
    register,
    rollback,
    state,
)
from wattline.errors import InputError
from wattline.registry import lookup
from wattline.registry.tracking import DIGEST


def test_where_nothing_happened_it_does_nothing(project: Path):
    assert recover() is None
    promoted(b"second")
    before = state()
    entry = recover()
    assert entry is not None
    assert (entry.action, entry.version) == ("promote", "2")
    assert state() == before


@pytest.mark.parametrize("to", ["1", "3", None])
def test_an_alias_that_was_moved_by_hand_comes_back_on_the_record(project: Path, to: str | None):
    promoted(b"second")
    following(b"third")
    move_alias(to)
    recover()
    assert (alias(), fetch().version) == ("2", "2")
    assert (log()[-1].action, log()[-1].reason) == ("recover", f"alias pointed to {to or 'nothing'}")


def test_a_champion_that_was_deleted_is_named_and_nothing_changes(project: Path):
    promoted(b"second")
    delete("2")
    before = state()
    with pytest.raises(InputError, match=r"version 2 of anomaly was deleted.*roll back to another version"):
        recover()
    assert state() == before


def test_doubles_that_no_log_knows_are_removed_and_one_is_left(project: Path):
    promoted()
    with opened() as found:
        one = lookup.number(found, "1")
        for digest in (one.tags[DIGEST], "e" * 64, "e" * 64):
            found.client.create_model_version(NAME, one.source, one.run_id, tags=one.tags | {DIGEST: digest})
    recover()
    assert state()[0] == ["1", "3"]


@pytest.fixture
def base(project: Path) -> Path:
    """A champion, and a candidate that was compared with it."""
    promoted(b"second")
    another(b"third", champion=champion_of_log())
    return project


def restore(saved: Path) -> None:
    """Make the registry what it was."""
    faults.disconnect()
    shutil.rmtree(".wattline")
    shutil.copytree(saved, ".wattline")


BEFORE = [("register", "1"), ("promote", "1"), ("register", "2"), ("promote", "2")]


@pytest.mark.parametrize(
    ("verb", "act", "answer", "steps"),
    [("register", register, "3", 15), ("promote", promote, "3", 5), ("rollback", rollback, "1", 5)],
)
def test_killed_between_any_two_steps_nothing_acknowledged_is_lost_and_recovery_finishes(
    base: Path, verb: str, act: Callable[[], str], answer: str, steps: int
):
    acknowledged = list(BEFORE)
    if verb != "register":
        acknowledged += [("register", register())]
    saved = shutil.copytree(".wattline", base.with_name(f"{base.name}-saved"))
    number, kind = 0, "killed"
    while kind == "killed":
        number += 1
        restore(saved)
        process = faults.fork(act, faults.killed_at(number)).wait()
        kind = process.kind
        check(acknowledged)
        recover()
        check_strictly(acknowledged)
        if (verb, answer) not in acts() or verb == "register":
            assert act() == answer
        check_strictly([*acknowledged, (verb, answer)])
    assert (kind, process.answer) == ("returned", answer)
    assert number > steps, process.steps
