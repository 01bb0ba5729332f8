"""A promotion is an entry in the log, made once, by one, on verdicts, bytes and a signature that hold."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import evaluation, measurement, signing_key, write_candidate, write_record, write_reports

from tests.registry import faults
from tests.registry.project import (
    NAME,
    acts,
    alias,
    another,
    artifacts,
    candidate,
    delete,
    fetch,
    flip,
    following,
    log,
    move_alias,
    opened,
    promote,
    promoted,
    recover,
    refused,
    register,
    rollback,
    state,
    stored_statement,
    use,
    versions,
)
from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError, WattlineError
from wattline.params.registry import FormerKey
from wattline.records import Champion
from wattline.registry import promotion, registration, statements
from wattline.settings import settings
from wattline.signing import entry as entries


def test_a_promotion_is_an_entry_that_the_alias_follows(project: Path):
    first, second = promoted(b"other")
    entry = log()[-1]
    assert (entry.action, entry.model, entry.version, entry.former) == ("promote", NAME, second, first)
    assert entry.digest == candidate().digest
    assert entry.evidence == {"statement": files.sha256(stored_statement(second))}
    assert (alias(), alias("challenger")) == (second, second)


def test_the_entry_lies_beside_the_statement_for_a_server_to_demand(project: Path):
    (version,) = promoted()
    with opened() as found:
        assert (artifacts(version) / statements.place(version, entries.FILE)).read_bytes() == found.ledger.champion(
            NAME
        )


def test_promoting_the_champion_again_does_nothing(project: Path):
    promoted()
    before = (state(), files.digests(artifacts("1")))
    assert promote() == promote("1") == "1"
    assert (state(), files.digests(artifacts("1"))) == before


@pytest.mark.parametrize("version", ["7", "latest", "-1", "", "1.0", "٣", "1; DROP TABLE wattline_audit"])
def test_a_version_that_does_not_exist_is_refused(project: Path, version: str):
    register()
    before = state()
    with pytest.raises(InputError, match="no version"):
        promote(version)
    assert state() == before


def test_there_is_nothing_to_promote_before_anything_was_registered(project: Path):
    with pytest.raises(InputError, match="no challenger"):
        promote()
    with pytest.raises(InputError, match="no version"):
        promote("1")
    assert state() == ([], None, None, [])


def test_a_version_that_was_compared_with_another_champion_is_superseded(project: Path):
    promoted()
    another(b"other")
    register()
    before = state()
    with pytest.raises(SupersededError, match=r"compared with no champion, the champion is version 1 \("):
        promote()
    assert state() == before
    assert refused()[-1].startswith("promote: version 2 of anomaly was compared with no champion")


def test_a_version_that_was_compared_with_a_champion_is_superseded_when_there_is_none(project: Path):
    another(b"other", champion=Champion(version="9", digest="9" * 64, name=NAME))
    register()
    with pytest.raises(SupersededError, match="compared with candidate 999999999999, the champion is none"):
        promote()
    assert alias() is None


def test_a_stale_comparison_may_be_overridden_where_that_is_allowed_and_going_back_to_it_works(project: Path):
    promoted()
    another(b"other")
    register()
    with pytest.raises(SupersededError):
        promote(overrides={"champion": "they are the same"})
    with opened(overridable=("champion",)) as found:
        assert promotion.promote(found, overrides={"champion": "they are the same"}) == "2"
    assert acts()[-2:] == [("override", "2"), ("promote", "2")]
    assert promote("2") == "2"
    following(b"third")
    promote()
    assert rollback() == "2"


def test_an_older_version_than_the_champion_goes_through_rollback(project: Path):
    promoted(b"other")
    before = state()
    with pytest.raises(
        InputError, match=r"version 1 of anomaly is older than its champion 2; `wattline rollback --to 1"
    ):
        promote("1")
    assert state() == before


def swap_record(path: Path) -> None:
    (path.parent / "weights.safetensors").write_bytes(b"swapped")
    write_record(path.parent)


def extra(path: Path) -> None:
    path.write_text("hello")


DAMAGES = [
    ("candidate/model.onnx", Path.unlink),
    ("candidate/candidate.json", Path.unlink),
    ("candidate/candidate.json", swap_record),
    ("candidate", shutil.rmtree),
    ("candidate/extra.md", extra),
    ("reports", shutil.rmtree),
    ("reports/extra.json", extra),
    ("cards/anomaly.md", Path.unlink),
    ("provenance/params.yaml", Path.unlink),
    ("statements", shutil.rmtree),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_what_was_lost_exchanged_or_added_in_the_store_is_not_promoted(
    project: Path, name: str, damage: Callable[[Path], object]
):
    damage(artifacts(register()) / name)
    with pytest.raises((InputError, IntegrityError), match=r"version 1 of anomaly|candidate|recorded"):
        promote()
    assert (alias(), acts()) == (None, [("register", "1")])


def test_one_flipped_byte_in_any_stored_file_is_not_promoted(project: Path):
    version = register()
    folder = artifacts(version)
    stored = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {path.relative_to(folder).parts[0] for path in stored} >= {"candidate", "reports", "cards", "statements"}
    with opened() as found:
        for path in stored:
            whole = path.read_bytes()
            flip(path, len(whole) // 2)
            with pytest.raises(WattlineError):
                promotion.promote(found)
            path.write_bytes(whole)
    assert (alias(), acts()) == (None, [("register", "1")])
    assert promote() == version


def test_a_version_whose_decision_was_altered_is_not_promoted(project: Path):
    version = register()
    other = write_candidate(project / "other", weights=b"other")
    stored = artifacts(version) / "reports"
    write_reports(stored, candidate(), failed=["energy"])
    with pytest.raises(RejectedError, match=r"not accepted \(energy\)"):
        promote()
    write_reports(stored, other)
    with pytest.raises(IntegrityError, match="decide"):
        promote()
    write_reports(stored, candidate())
    with opened() as found:
        found.client.set_model_version_tag(NAME, version, "wattline.decision", "rejected")
    with pytest.raises(RejectedError):
        promote()
    assert alias() is None
    assert len(refused()) == 3


@pytest.mark.parametrize("stage", ["evaluate", "measure"])
def test_figures_of_another_candidate_are_not_promoted(project: Path, stage: str):
    version = register()
    other = write_candidate(project / "other", weights=b"other")
    record = evaluation(other) if stage == "evaluate" else measurement(other)
    files.write_text(artifacts(version) / "reports" / f"{stage}.json", record.to_json())
    with pytest.raises(IntegrityError, match=stage):
        promote()
    assert alias() is None


def unsigned(path: Path) -> None:
    path.unlink()


def wrongly_signed(path: Path) -> None:
    """By a key that nobody trusts: as who can write to the store, and has no key, would."""
    from wattline import signing

    statement = signing.verify(path.read_bytes(), (signing_key().public,))
    path.write_bytes(signing.sign(statement, signing_key(1)))


def replayed(path: Path) -> None:
    path.write_bytes(stored_statement("1").read_bytes())


def another_version(path: Path) -> None:
    """Signed by a trusted key, about the same files, as another version."""
    from wattline import signing

    said = signing.verify(path.read_bytes(), (signing_key().public,))
    predicate = said.predicate.model_copy(update={"version": "3"})
    path.write_bytes(signing.sign(said.model_copy(update={"predicate": predicate}), signing_key()))


SIGNATURES = [
    (unsigned, InputError, "version 2 of anomaly has no signed statement.*wattline sign --version 2"),
    (wrongly_signed, IntegrityError, "none by a trusted key"),
    (replayed, IntegrityError, "statement of version 2 of anomaly says something else than the version holds"),
    (another_version, IntegrityError, "statement of version 2 of anomaly says something else than the version holds"),
]


@pytest.mark.parametrize(("damage", "error", "message"), SIGNATURES)
def test_a_version_without_its_own_signed_statement_is_not_promoted(
    project: Path, damage: Callable[[Path], None], error: type[WattlineError], message: str
):
    promoted()
    following(b"other")
    before = state()
    damage(stored_statement("2"))
    with pytest.raises(error, match=message):
        promote()
    assert state() == before
    with opened() as found:
        assert registration.sign(found) == "2"
    assert promote() == "2"


def test_signing_again_with_a_new_key_is_on_record_and_the_old_keys_entries_count_as_former(project: Path):
    promoted()
    use(signing_key(1))
    files.write_bytes(Path("old.pem"), signing_key(0).public.pem())
    new = (signing_key(1).public,)
    with opened(new) as found, pytest.raises(IntegrityError, match=r"registry\.former_keys"):
        promotion.promote(found)
    with opened(new, former_keys=(FormerKey(file="old.pem", until=99),)) as found:
        with pytest.raises(IntegrityError, match="none by a trusted key"):
            promotion.promote(found)
        assert registration.sign(found) == "1"
        assert promotion.promote(found) == "1"
        assert [entry.action for entry in found.about("1")] == ["register", "promote", "refuse", "refuse", "sign"]


def test_a_version_that_somebody_made_by_hand_is_not_promoted(project: Path):
    register()
    with opened() as found:
        one = found.client.get_model_version(NAME, "1")
        found.client.create_model_version(NAME, one.source, one.run_id, tags=one.tags)
    with pytest.raises(IntegrityError, match="version 2 of anomaly is not in the audit log"):
        promote("2")
    recover()
    assert versions() == ["1"]


@pytest.mark.parametrize("to", ["1", None])
def test_an_alias_that_was_moved_by_hand_is_named_and_nothing_is_promoted(project: Path, to: str | None):
    promoted(b"other")
    following(b"third")
    move_alias(to)
    before = state()
    with pytest.raises(
        InputError, match=f"champion of anomaly points to {to or 'no version'}, the audit log says 2.*recover"
    ):
        promote()
    assert state() == before
    recover()
    assert promote() == "3"


def test_an_alias_that_was_set_by_hand_before_the_first_promotion_is_named(project: Path):
    register()
    move_alias("1")
    with pytest.raises(InputError, match="points to 1, the audit log says none"):
        promote()
    recover()
    assert alias() is None
    assert promote() == "1"


def test_another_version_takes_the_place_of_a_champion_that_was_deleted(project: Path):
    promoted(b"other")
    following(b"third")
    delete("2")
    assert promote() == "3"
    assert (alias(), log()[-1].former) == ("3", "2")


def test_a_champion_that_was_deleted_is_not_promoted_again(project: Path):
    promoted()
    delete("1")
    with pytest.raises(InputError, match="version 1 of anomaly was deleted"):
        promote("1")


def ready_pair() -> None:
    """Two versions, both compared with today's champion."""
    promoted()
    first = fetch()
    for weights in (b"left", b"right"):
        another(weights, champion=first)
        register()


@pytest.mark.parametrize("wanted", [("2", "3"), ("3", "3")])
def test_of_two_who_promote_at_once_one_wins_and_the_other_is_superseded(project: Path, wanted: tuple[str, str]):
    ready_pair()
    pair = [faults.fork(lambda one=one: promote(one), line="waiting for the lock") for one in wanted]
    for process in pair:
        process.until("waiting for the lock")
    for process in pair:
        process.start()
    ends = [process.wait() for process in pair]
    assert sorted(process.kind for process in ends) == ["SupersededError", "returned"]
    winner = next(process.answer for process in ends if process.kind == "returned")
    loser = next(process.answer for process in ends if process.kind != "returned")
    assert f"made version {winner} champion of anomaly meanwhile" in loser
    assert alias() == winner
    assert [act for act in acts() if act[0] == "promote"] == [("promote", "1"), ("promote", winner)]
    assert len(refused()) == 1


def test_a_clock_that_is_an_hour_off_changes_nothing(project: Path):
    ready_pair()

    def elsewhere(seconds: int) -> str:
        with faults.clock_off(seconds):
            return promote("2" if seconds > 0 else "3")

    assert faults.fork(lambda: elsewhere(3600)).wait().answer == "2"
    following(b"later")
    assert promote() == "4"
    assert [entry.version for entry in log() if entry.action == "promote"] == ["1", "2", "4"]
    following(b"last")

    def behind() -> str:
        with faults.clock_off(-3600):
            return promote()

    assert faults.fork(behind).wait().answer == "5"
    times = [entry.at for entry in log() if entry.action == "promote"]
    assert times != sorted(times)
    assert alias() == "5"


def test_a_job_that_nobody_started_by_hand_promotes_where_no_approval_is_needed(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    register()
    for name, value in {"CI": "true", "GITLAB_USER_LOGIN": "bot", "CI_JOB_URL": "https://ci.example.org/1"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    promote()
    who = log()[-1].actor
    assert (who.name, who.kind, who.job) == ("bot", "job", "https://ci.example.org/1")


def test_an_unreachable_server_changes_nothing(unreachable: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="WATTLINE_LEDGER_URI"):
        promote()
    monkeypatch.setenv("WATTLINE_LEDGER_URI", f"sqlite:///{unreachable}/ledger.db")
    settings.cache_clear()
    files.write_text(files.CHAMPION / "model.onnx", "old")
    for act in (register, promote, rollback, fetch):
        with pytest.raises((InputError, WattlineError)) as caught:
            act()
        assert "secret" not in str(caught.value)
    assert sorted(files.digests(files.CHAMPION)) == ["model.onnx"]
    assert [path.name for path in unreachable.iterdir() if path.name.startswith("wattline-")] == []
