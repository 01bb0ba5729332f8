"""Whatever breaks between a command and the tracking server, and at whichever request: nothing is half promoted.

A read and an upload meet one kind of fault each, in turn, and a write meets one that keeps it from happening and one
that only hides that it has happened; of requests for files of one folder, which come in any order, one is hit. With
WATTLINE_FAULTS=all each request meets each kind.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from backends.faults import Answer, Cut, Fault, Flip, Late, Seen, Unanswered, Unasked
from backends.tracking import Tracking

from tests.registry.backends.stack import PASSWORD, USER, Stack, State, changed, fetch, new_candidate, new_name
from wattline.errors import WattlineError
from wattline.registry import promotion, registration
from wattline.settings import settings

ALL = os.environ.get("WATTLINE_FAULTS") == "all"
PARTS = ("/artifacts/candidate/", "/artifacts/cards/", "/artifacts/reports/", "/artifacts/provenance/")


@dataclass(frozen=True)
class Kind:
    """times: how many requests in a row; None from then on, as with a server that went away or a token that ran out"""

    name: str
    fault: Fault
    times: int | None = 1


UNDONE = (Kind("500", Answer(500)), Kind("token ran out", Answer(401), None), Kind("went away", Unasked(), None))
DONE = (Kind("answer lost", Unanswered()), Kind("answer cut", Cut()), Kind("slow", Late(60)))
KINDS = (*UNDONE, *DONE)


@dataclass(frozen=True)
class Run:
    """A verb that met a fault. error: what it said; None where it came through"""

    before: State
    after: State
    error: WattlineError | None


def register(name: str) -> str:
    with changed(name) as model:
        return registration.register(model)


def promote(name: str) -> str:
    with changed(name) as model:
        return promotion.promote(model)


def rollback(name: str) -> str:
    with changed(name) as model:
        return promotion.rollback(model)


def recover(name: str) -> None:
    with changed(name) as model:
        promotion.recover(model)


def requests(stack: Stack, verb: Callable[[str], str], name: str) -> tuple[Seen, ...]:
    """What `verb` asks when nothing breaks."""
    stack.proxy.clear()
    verb(name)
    return stack.proxy.seen


def plan(seen: tuple[Seen, ...]) -> Iterator[tuple[int, Kind]]:
    """At which request what happens."""
    folders: set[str] = set()
    for place, request in enumerate(seen, 1):
        folder = request.path.rpartition("/")[0]
        of_folder = "/artifacts/" in request.path and any(part in request.path for part in PARTS)
        if of_folder and folder in folders and not ALL:
            continue
        folders.add(folder)
        writes = request.method != "GET" and not of_folder
        # Who reads cannot tell a slow answer from a lost one.
        chosen = (UNDONE[place % 3], DONE[place % 3]) if writes else (KINDS[place % 5],)
        for kind in KINDS if ALL else chosen:
            yield place, kind


def broken(stack: Stack, verb: Callable[[str], str], name: str, place: int, kind: Kind) -> Run:
    """Run `verb` with a fault at one of its requests, and check what is left."""
    before = stack.state(name)
    stack.proxy.clear()
    stack.proxy.when(kind.fault, first=place, times=kind.times)
    error = None
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3" if kind.name == "slow" else "60")
            verb(name)
    except WattlineError as caught:
        error = caught
    hit = next((seen for seen in stack.proxy.seen if seen.fault), None)
    assert hit is not None, f"{kind.name} at {place} was not reached"
    stack.proxy.clear()
    after = stack.state(name)
    assert after.champion in {before.champion, after.said}
    assert len(after.moves) <= len(before.moves) + 1
    if error is None:
        # Of a write the status had come, and what is replaced need not be read.
        assert after.champion == after.said
        assert kind.name == "answer cut" or hit.path.endswith("dsse.json"), f"nobody noticed: {kind.name} at {hit}"
    else:
        check_message(stack, str(error), moved=after.moves != before.moves)
    return Run(before, after, error)


def check_message(stack: Stack, text: str, *, moved: bool) -> None:
    """It says what failed and what to do, and no secret."""
    ledger = settings().ledger_uri
    for secret in (USER, PASSWORD, ledger.split(":")[2].split("@")[0]):
        assert secret not in text
    assert "MLflow store" in text
    assert "check MLFLOW_TRACKING_" in text or "try again" in text
    assert ("run `wattline recover`" in text) == moved, text
    assert len(text) < 1500
    assert "\n" not in text


@pytest.mark.nightly  # promote is tried in CI
def test_register_survives_a_fault_at_every_request(stack: Stack):
    new_candidate()
    register(new_name())  # which also makes the experiment of all of them
    new_candidate()
    for place, kind in plan(requests(stack, register, new_name())):
        digest, name = new_candidate(), new_name()
        run = broken(stack, register, name, place, kind)
        assert set(run.after.registered) <= {digest}
        recover(name)
        assert register(name) == "1"
        assert stack.check(name).challenger == "1"


@pytest.fixture
def name(stack: Stack) -> str:
    """A model with two versions, of which the first is champion and the second may be."""
    found = new_name()
    new_candidate()
    register(found)
    promote(found)
    new_candidate(champion=fetch(found))
    register(found)
    return found


def test_promote_survives_a_fault_at_every_request(stack: Stack, name: str):
    asked = requests(stack, promote, name)
    rollback(name)
    for place, kind in plan(asked):
        run = broken(stack, promote, name, place, kind)
        if run.after == run.before:
            continue  # so that the next one begins where this one did
        recover(name)
        assert promote(name) == "2"
        assert stack.check(name).champion == "2"
        assert rollback(name) == "1"
    assert promote(name) == "2"
    assert stack.check(name).champion == "2"


@pytest.mark.nightly  # promote is tried in CI
def test_rollback_survives_a_fault_at_every_request(stack: Stack, name: str):
    promote(name)
    asked = requests(stack, rollback, name)
    promote(name)
    for place, kind in plan(asked):
        run = broken(stack, rollback, name, place, kind)
        if run.after == run.before:
            continue
        recover(name)
        if stack.state(name).said == "2":
            assert rollback(name) == "1"
        assert stack.check(name).champion == "1"
        assert promote(name) == "2"
    assert rollback(name) == "1"
    assert stack.check(name).champion == "1"


@pytest.mark.parametrize("position", [0, -1])
def test_a_byte_that_flips_on_the_way_is_noticed(stack: Stack, name: str, position: int):
    asked = [seen.path for seen in requests(stack, promote, name) if seen.method == "GET"]
    rollback(name)
    before = stack.state(name)
    files = sorted(path for path in asked if any(part in path for part in PARTS))
    assert len(files) == 13
    for path in files:
        stack.proxy.clear()
        stack.proxy.when(Flip(position), method="GET", path=path)
        with pytest.raises(WattlineError):
            promote(name)
        assert stack.state(name) == before, path
    stack.proxy.clear()
    assert promote(name) == "2"
    stack.check(name)


@pytest.mark.parametrize("verb", [register, promote, rollback, recover, fetch])
def test_a_server_that_is_down_changes_nothing(stack: Stack, name: str, verb: Callable[[str], object]):
    promote(name)
    before = stack.state(name)
    new_candidate()
    stack.proxy.refuse()
    with pytest.raises(WattlineError, match="got no answer: nobody listens there; start it, or check") as caught:
        verb(name)
    check_message(stack, str(caught.value), moved=False)
    stack.proxy.accept()
    assert stack.check(name) == before


def test_a_server_that_does_not_answer_is_given_up_in_bounded_time(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    name = new_name()
    new_candidate()
    stack.proxy.when(Late(240), times=None)
    before = time.monotonic()
    with pytest.raises(WattlineError, match="got no answer in time"):
        register(name)
    assert time.monotonic() - before < 60


def test_a_wrong_password_is_told_from_a_server_that_is_down(
    stack: Stack, auth_server: Tracking, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", auth_server.url.replace("//", f"//{USER}:{PASSWORD}@"))
    settings.cache_clear()
    new_candidate()
    with pytest.raises(WattlineError, match="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as caught:
        register(new_name())
    assert PASSWORD not in str(caught.value)
    assert auth_server.password not in str(caught.value)
