"""A change is loaded once, a failure is tried again only when something changed, and a start survives its origin."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wattline.serving.versions.loading import LoadError, Reason
from wattline.serving.versions.newest import Newest

FAILING: dict[str, Reason] = {"bad": "golden", "older": "stale"}


class FakeOrigin:
    """What a test says there is; an error instead of a text is raised."""

    def __init__(self) -> None:
        self.there: str | LoadError = "one"
        self.fetched: list[str] = []
        self.accepted: list[Path] = []
        self.discarded: list[Path] = []
        self.kept: Path | None = None

    def fingerprint(self) -> str:
        if isinstance(self.there, LoadError):
            raise self.there
        return self.there

    def fetch(self) -> Path:
        found = self.fingerprint()
        self.fetched.append(found)
        return Path(found)

    def accept(self, copy: Path) -> None:
        self.accepted.append(copy)

    def discard(self, copy: Path) -> None:
        self.discarded.append(copy)

    def last(self) -> Path | None:
        return self.kept


@pytest.fixture
def origin() -> FakeOrigin:
    return FakeOrigin()


def load(path: Path) -> Any:
    """Stands for a loaded version; some cannot be."""
    if path.name in FAILING:
        raise LoadError("it is bad", reason=FAILING[path.name])
    return path.name


def down() -> LoadError:
    return LoadError("nobody answers", reason="unreachable")


def refused(newest: Newest, reason: Reason) -> LoadError:
    with pytest.raises(LoadError) as caught:
        newest()
    assert caught.value.reason == reason
    return caught.value


def test_a_change_is_loaded_once(origin: FakeOrigin):
    newest = Newest(origin, load)
    assert newest() == "one"
    assert newest() is None
    origin.there = "two"
    assert newest() == "two"
    assert newest() is None
    assert origin.fetched == ["one", "two"]
    assert origin.accepted == [Path("one"), Path("two")]


def test_going_back_is_a_change_too(origin: FakeOrigin):
    newest = Newest(origin, load)
    for there in ("one", "two", "one"):
        origin.there = there
        assert newest() == there


def test_what_failed_is_not_tried_again_but_still_said(origin: FakeOrigin):
    newest = Newest(origin, load)
    origin.there = "bad"
    first = refused(newest, "golden")
    again = refused(newest, "unchanged")
    assert str(again) == str(first)
    assert origin.fetched == ["bad"]
    assert (origin.accepted, origin.discarded) == ([], [Path("bad")])
    origin.there = "two"
    assert newest() == "two"
    assert newest() is None


def test_a_start_without_the_origin_takes_the_copy_that_served_last(origin: FakeOrigin, caplog):
    newest = Newest(origin, load)
    origin.there, origin.kept = down(), Path("former")
    assert newest() == "former"
    assert "served last" in caplog.text
    refused(newest, "unreachable")
    origin.there = "two"
    assert newest() == "two"


def test_an_origin_that_goes_down_in_the_middle_counts_as_down(origin: FakeOrigin, monkeypatch):
    def fetch() -> Path:
        raise down()

    monkeypatch.setattr(origin, "fetch", fetch)
    newest = Newest(origin, load)
    refused(newest, "unreachable")
    origin.kept = Path("former")
    assert newest() == "former"
    refused(newest, "unreachable")
    monkeypatch.undo()
    assert newest() == "one", "what could not be fetched is tried again although it did not change"


def test_what_found_no_room_for_its_copy_is_tried_again_although_it_did_not_change(origin: FakeOrigin, monkeypatch):
    def fetch() -> Path:
        raise LoadError("the disk is full", reason="copy")

    monkeypatch.setattr(origin, "fetch", fetch)
    newest = Newest(origin, load)
    for _ in range(2):
        refused(newest, "copy")
    monkeypatch.undo()
    assert newest() == "one"


def test_a_start_that_finds_a_former_champion_goes_on_with_the_last_and_says_so_at_the_next_look(origin: FakeOrigin):
    newest = Newest(origin, load)
    origin.there, origin.kept = "older", Path("former")
    assert newest() == "former"
    refused(newest, "stale")
    refused(newest, "unchanged")
    origin.there = "two"
    assert newest() == "two"
    origin.there = "older"
    refused(newest, "stale")


def test_a_start_that_finds_a_former_champion_and_no_copy_fails(origin: FakeOrigin):
    origin.there = "older"
    refused(Newest(origin, load), "stale")


def test_what_may_not_follow_is_refused_and_not_accepted(origin: FakeOrigin):
    followed: list[Any] = []

    @contextmanager
    def following(loaded: Any) -> Iterator[None]:
        followed.append(loaded)
        if loaded == "two":
            raise LoadError("it is older", reason="stale")
        yield

    newest = Newest(origin, load, following=following)
    assert newest() == "one"
    origin.there = "two"
    refused(newest, "stale")
    refused(newest, "unchanged")
    assert followed == ["one", "two"]
    assert origin.accepted == [Path("one")]


def test_without_a_copy_a_start_fails(origin: FakeOrigin):
    origin.there = down()
    refused(Newest(origin, load), "unreachable")


def test_a_copy_that_cannot_be_loaded_any_more_is_not_served(origin: FakeOrigin):
    origin.there, origin.kept = down(), Path("bad")
    refused(Newest(origin, load), "golden")


@pytest.mark.parametrize("reason", ["missing", "untrusted", "mismatch", "digest"])
def test_a_bad_version_is_never_replaced_by_an_older_copy(origin: FakeOrigin, reason: Reason):
    origin.there, origin.kept = LoadError("no", reason=reason), Path("former")
    refused(Newest(origin, load), reason)
