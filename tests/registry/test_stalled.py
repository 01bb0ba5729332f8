"""Who falls asleep with the lock and is overtaken changes nothing any more, or ends where the log says."""

from pathlib import Path

import pytest
from builders import measurement

from tests.registry import faults
from tests.registry.project import (
    acts,
    alias,
    another,
    candidate,
    champion_of_log,
    fetch,
    opened,
    promoted,
    recover,
    register,
    versions,
)
from wattline import files
from wattline.errors import InputError
from wattline.registry import promotion, registration

SECONDS = 1.0


def promote_slowly(version: str) -> str:
    with opened(lock_seconds=SECONDS) as found:
        return promotion.promote(found, version)


def register_slowly() -> str:
    with opened(lock_seconds=SECONDS, wait_seconds=60) as found:
        return registration.register(found, allow_dirty=True)


@pytest.fixture
def pair(project: Path) -> None:
    """Versions 2 and 3, both compared with the champion."""
    promoted()
    first = champion_of_log()
    for weights in (b"left", b"right"):
        another(weights, champion=first)
        register()


def test_a_promoter_who_slept_while_another_one_won_is_superseded(pair: None):
    sleeper = faults.fork(lambda: promote_slowly("2"), faults.stopped_at("waiting for the lock"))
    assert sleeper.stopped()
    assert promote_slowly("3") == "3"
    assert sleeper.resume().kind == "SupersededError"
    assert (alias(), acts()[-1]) == ("3", ("promote", "3"))


def test_a_promoter_who_sleeps_over_its_checks_is_refused(pair: None):
    sleeper = faults.fork(lambda: promote_slowly("2"), faults.stopped_at("checked"))
    assert sleeper.stopped()
    assert promote_slowly("3") == "3"
    process = sleeper.resume()
    assert process.kind == "SupersededError"
    assert "too slow" in process.answer
    assert (alias(), fetch().version, acts()[-1]) == ("3", "3", ("promote", "3"))


@pytest.mark.parametrize("step", ["log_artifact", "set_registered_model_alias"])
def test_a_promoter_who_sleeps_between_entry_and_alias_ends_where_the_log_says(pair: None, step: str):
    sleeper = faults.fork(lambda: promote_slowly("2"), faults.stopped_at(step))
    assert sleeper.stopped()
    with pytest.raises(InputError, match="a promotion was cut off; run `wattline recover`"):
        promote_slowly("3")
    recover()
    assert (alias(), fetch().version) == ("2", "2")
    with opened() as found:
        promotion.rollback(found)
    assert alias() == "1"
    process = sleeper.resume()
    assert (process.kind, process.answer) == ("returned", "2")
    assert (alias(), fetch().version) == ("1", "1")
    assert acts()[-1] == ("rollback", "1")


STEPS = ("create_run", "upload reports, in the middle", "create_model_version", "log_artifact", "signed")


@pytest.mark.parametrize("step", STEPS)
def test_of_two_who_register_one_candidate_the_overtaken_one_spoils_nothing(project: Path, step: str):
    """Both have measured: what the sleeper still uploads are other figures than the first one signed."""
    sleeper = faults.fork(register_slowly, faults.stopped_at(step))
    assert sleeper.stopped()
    cost = measurement(candidate()).model_copy(update={"machine": "another one"})
    files.write_text(files.report_path("measure"), cost.to_json())
    assert register_slowly() == "1"
    process = sleeper.resume()
    assert (process.kind, process.answer) == ("returned", "1")
    assert acts()[0] == ("register", "1")
    assert [act for act in acts() if act[0] == "register"] == [("register", "1")]
    assert versions() == ["1"]
    with opened() as found:
        assert promotion.promote(found) == "1"
