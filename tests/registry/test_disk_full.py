"""A disk that is full at any write ends a verb with one clear error, and leaves what the next try finishes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry import faults
from tests.registry.invariants import check, check_strictly
from tests.registry.project import acts, another, champion_of_log, promote, promoted, recover, register, rollback

BEFORE = [("register", "1"), ("promote", "1"), ("register", "2"), ("promote", "2")]
VERBS = [("register", register, 15), ("promote", promote, 5), ("rollback", rollback, 5)]


@pytest.mark.parametrize(("verb", "act", "steps"), VERBS)
def test_a_disk_that_is_full_at_any_write_loses_nothing(project: Path, verb: str, act: Callable[[], str], steps: int):
    promoted(b"second")
    another(b"third", champion=champion_of_log())
    acknowledged = list(BEFORE)
    if verb != "register":
        acknowledged += [("register", register())]
    seen = {}
    for number in range(1, 60):
        process = faults.fork(act, faults.full_at(number)).wait()
        seen[number] = (process.kind, process.answer, process.steps[-1])
        if process.kind == "returned":
            break
        assert process.kind == "WattlineError", seen
        assert "No space left on device" in process.answer or "disk is full" in process.answer
        check(acknowledged)
        if (verb, "1" if verb == "rollback" else "3") in acts():
            break
    recover()
    if verb == "register":
        assert register() == "3"
    check_strictly([*acknowledged, (verb, "1" if verb == "rollback" else "3")])
    assert number >= steps, seen
