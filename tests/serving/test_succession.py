"""An older champion is never followed without a rollback on the record, whatever the memory of the last one meets."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import promotion, write_candidate

from wattline.serving.versions.loading import LoadError
from wattline.serving.versions.succession import Accepted, Succession, objection

OLDER, UNDATED, LOWER, TWICE = "is older", "without the audit entry", "no rollback is on record", "the same number"


def at(version: int, sequence: int | None) -> Accepted:
    return Accepted(version=str(version), sequence=sequence)


@pytest.mark.parametrize(
    ("last", "found", "action", "why"),
    [
        # a fresh server
        (None, (1, None), None, None),
        (None, (3, 7), "promote", None),
        (None, (1, 7), "rollback", None),
        # nothing with an entry was accepted before
        ((2, None), (2, None), None, None),
        ((2, None), (3, None), None, None),
        ((2, None), (1, None), None, LOWER),
        ((10, None), (9, None), None, LOWER),
        ((9, None), (10, None), None, None),
        ((2, None), (2, 7), "promote", None),
        ((2, None), (3, 7), "promote", None),
        ((2, None), (1, 7), "promote", LOWER),
        ((2, None), (1, 7), "rollback", None),
        # one with an entry was
        ((2, 7), (2, None), None, UNDATED),
        ((2, 7), (3, None), None, UNDATED),
        ((2, 7), (1, None), None, UNDATED),
        ((2, 7), (2, 7), "promote", None),
        ((2, 7), (3, 7), "promote", TWICE),
        ((2, 7), (1, 7), "rollback", TWICE),
        ((2, 7), (3, 8), "promote", None),
        ((2, 7), (2, 8), "promote", None),
        ((2, 7), (1, 8), "promote", LOWER),
        ((2, 7), (1, 8), "rollback", None),
        ((2, 7), (3, 8), "rollback", None),
        ((2, 7), (1, 6), "promote", OLDER),
        ((2, 7), (1, 6), "rollback", OLDER),
        ((2, 7), (2, 6), "promote", OLDER),
        ((2, 7), (3, 6), "promote", OLDER),
        ((2, 7), (3, 6), "rollback", OLDER),
    ],
)
def test_who_may_follow_whom(
    last: tuple[int, int | None] | None, found: tuple[int, int | None], action: str | None, why: str | None
):
    said = objection(at(*found), at(*last) if last else None, on_record=action == "rollback")
    assert said is None if why is None else said is not None and why in said


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "served" / "accepted.json"


@pytest.fixture
def candidate(tmp_path: Path) -> Any:
    return write_candidate(tmp_path / "candidate")


@pytest.fixture
def champion(candidate: Any) -> Any:
    """Makes what a champion is as far as its succession goes: `fields` of its entry, where it has one."""

    def make(version: str, *, name: str = "anomaly", **fields: Any) -> Any:
        entry = promotion(candidate, version=version, name=name, **fields) if fields else None
        return SimpleNamespace(name=name, version=version, promotion=entry)

    return make


def accept(memory: Path, loaded: Any) -> None:
    with Succession(memory).following(loaded):
        pass


def refused(memory: Path, loaded: Any) -> str:
    with pytest.raises(LoadError) as caught, Succession(memory).following(loaded):
        pytest.fail("it was let through")
    assert caught.value.reason == "stale"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_sentence_names_versions_entries_and_the_remedy(memory: Path, champion: Any):
    accept(memory, champion("2", sequence=7))
    said = refused(memory, champion("1", sequence=6))
    assert "version 1 (entry 6) of anomaly may not follow version 2 (entry 7)" in said
    assert "wattline rollback" in said
    assert f"remove {memory}" in said
    assert "version 3 (no entry)" in refused(memory, champion("3"))


def test_what_was_refused_is_not_remembered(memory: Path, champion: Any):
    accept(memory, champion("2", sequence=7))
    before = memory.read_bytes()
    refused(memory, champion("1", sequence=6))
    refused(memory, champion("1", sequence=8))
    assert memory.read_bytes() == before
    accept(memory, champion("2", sequence=7))


def test_a_version_that_did_not_come_into_service_is_not_remembered(memory: Path, champion: Any):
    accept(memory, champion("1", sequence=1))
    with pytest.raises(ValueError, match="broken"), Succession(memory).following(champion("2", sequence=2)):
        raise ValueError("broken")
    accept(memory, champion("1", sequence=1))


def test_the_same_version_promoted_again_moves_the_memory_on(memory: Path, champion: Any):
    accept(memory, champion("2", sequence=7))
    accept(memory, champion("2", sequence=9))
    refused(memory, champion("1", sequence=8, action="rollback"))


def test_an_entry_is_not_forgotten_for_a_version_with_none(memory: Path, champion: Any):
    accept(memory, champion("1"))
    accept(memory, champion("1", sequence=1))
    refused(memory, champion("2"))


def test_each_model_has_its_own_memory(memory: Path, champion: Any):
    accept(memory, champion("2", sequence=7))
    accept(memory, champion("1", name="other", sequence=3))
    refused(memory, champion("1", sequence=3))
    refused(memory, champion("1", name="other", sequence=2))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"accepted": {"anomaly": {}}}',
        b'{"accepted": {"anomaly": {"version": "1", "sequence": 0}}}',
        b'{"accepted": {"anomaly": {"version": "x"}}}',
        b'{"accepted": {}, "more": 1}',
    ],
)
def test_a_damaged_memory_lets_nobody_through_and_is_left_as_it_is(memory: Path, champion: Any, content: bytes):
    memory.parent.mkdir()
    memory.write_bytes(content)
    said = refused(memory, champion("3", sequence=9))
    assert "wattline audit show" in said
    assert f"remove {memory}" in said
    assert memory.read_bytes() == content


def test_a_folder_in_the_place_of_the_memory_lets_nobody_through(memory: Path, champion: Any):
    memory.mkdir(parents=True)
    refused(memory, champion("3", sequence=9))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_who_cannot_remember_does_not_accept(memory: Path, champion: Any):
    memory.parent.mkdir()
    memory.parent.chmod(0o500)
    with pytest.raises(LoadError, match="make room") as caught:
        accept(memory, champion("1", sequence=1))
    memory.parent.chmod(0o700)
    assert caught.value.reason == "copy"


def test_a_memory_without_room_is_refused_as_a_copy_without_room_is(tmp_path: Path, champion: Any):
    (tmp_path / "served").write_text("a file in the place of the folder")
    with pytest.raises(LoadError, match="make room") as caught:
        accept(tmp_path / "served" / "accepted.json", champion("1", sequence=1))
    assert caught.value.reason == "copy"


def test_of_workers_that_accept_at_once_none_takes_the_memory_back(memory: Path, champion: Any):
    def work(own: list[int]) -> None:
        for sequence in own:
            with suppress(LoadError):
                accept(memory, champion(str(sequence), sequence=sequence))

    threads = [threading.Thread(target=work, args=(range(first, 41, 4),)) for first in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accept(memory, champion("40", sequence=40))
    refused(memory, champion("39", sequence=39))
    assert sorted(path.name for path in memory.parent.iterdir()) == ["accepted.json", "accepted.json.lock"]
