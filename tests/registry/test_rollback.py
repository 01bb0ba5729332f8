"""One command goes back to a champion of before, on the record, from whatever state the store is in."""

import shutil
from pathlib import Path

import pytest

from tests.registry.project import (
    acts,
    alias,
    artifacts,
    delete,
    fetch,
    flip,
    following,
    log,
    move_alias,
    opened,
    promote,
    promoted,
    register,
    rollback,
    state,
    stored_statement,
)
from wattline.errors import InputError, IntegrityError
from wattline.registry import promotion


def test_going_back_and_forth_leads_where_one_came_from(project: Path):
    assert promoted(b"second", b"third") == ["1", "2", "3"]
    assert rollback() == "2"
    assert (alias(), fetch().version) == ("2", "2")
    assert rollback() == "1"
    with pytest.raises(InputError, match="no champion before version 1"):
        rollback()
    following(b"fourth")
    assert promote() == "4"
    assert rollback() == "1"
    moves = [(entry.action, entry.version, entry.former) for entry in log() if entry.action in ("promote", "rollback")]
    assert moves[3:] == [("rollback", "2", "3"), ("rollback", "1", "2"), ("promote", "4", "1"), ("rollback", "1", "4")]


def test_going_back_further_is_asked_for_by_number_and_says_why(project: Path):
    promoted(b"second", b"third")
    with opened() as found:
        assert promotion.rollback(found, "1", reason="false alarms on rack 7") == "1"
    assert (alias(), log()[-1].reason) == ("1", "false alarms on rack 7")


@pytest.mark.parametrize("to", ["2", "3", "7", "latest", ""])
def test_what_was_no_champion_before_is_nothing_to_go_back_to(project: Path, to: str):
    promoted(b"second")
    following(b"third")
    before = state()
    with pytest.raises(InputError, match=f"version {to} of anomaly was no champion before version 2; former ones: 1"):
        rollback(to)
    assert state() == before


def test_without_a_champion_there_is_nothing_to_go_back_from(project: Path):
    register()
    with pytest.raises(InputError, match="no champion; there is nothing to roll back"):
        rollback()
    assert acts() == [("register", "1")]


def test_it_works_when_the_champion_was_deleted(project: Path):
    promoted(b"second")
    delete("2")
    assert rollback() == "1"
    assert (alias(), fetch().version) == ("1", "1")


def test_it_works_when_the_alias_was_moved_by_hand_and_puts_it_right(project: Path):
    promoted(b"second", b"third")
    move_alias("1")
    assert rollback() == "2"
    assert alias() == "2"


def test_a_former_champion_that_was_deleted_is_named_and_another_can_be_chosen(project: Path):
    promoted(b"second", b"third")
    delete("2")
    with pytest.raises(InputError, match="version 2 of anomaly was deleted"):
        rollback()
    assert rollback("1") == "1"


def test_one_flipped_byte_in_any_file_of_the_former_champion_is_refused_and_nothing_changes(project: Path):
    promoted(b"second")
    before, folder = state(), artifacts("1")
    # The entry that once promoted it is written anew by every move.
    stored = [path for path in folder.rglob("*") if path.is_file() and path.name != "promotion.dsse.json"]
    with opened() as found:
        for path in stored:
            whole = path.read_bytes()
            flip(path, len(whole) // 2)
            with pytest.raises((IntegrityError, InputError)):
                promotion.rollback(found)
            path.write_bytes(whole)
    assert state() == before
    flip(stored_statement("1").with_name("promotion.dsse.json"))
    assert rollback() == "1"


def test_a_former_champion_without_its_statement_is_refused(project: Path):
    promoted(b"second")
    shutil.rmtree(stored_statement("1").parent)
    with pytest.raises(InputError, match="no signed statement"):
        rollback()
    assert (alias(), acts()[-1]) == ("2", ("promote", "2"))
