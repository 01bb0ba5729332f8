"""What somebody can try who writes to the store or the database, or holds a key that is trusted no more."""

import subprocess
from pathlib import Path

import pytest
from builders import signing_key

from tests.registry import project as it
from tests.registry.project import NAME, PARAMS, opened, promote, promoted, register, rollback, use
from wattline import files
from wattline.errors import InputError, IntegrityError, SupersededError, WattlineError
from wattline.params.registry import FormerKey
from wattline.registry import approval, lookup, model, promotion, registration, store
from wattline.registry.artifacts import Folder
from wattline.settings import settings
from wattline.signing.entry import Actor

OLD, NEW = signing_key(0), signing_key(1)


def retired(until: int) -> tuple[FormerKey, ...]:
    """The old key as one that sign no more."""
    Path("old.pem").write_bytes(OLD.public.pem())
    return (FormerKey(file="old.pem", until=until),)


def forge(action: str, version: str) -> None:
    """Append an entry with the old key, as who stole it and reaches the database can."""
    with model.ledger(PARAMS) as log, log.locked(NAME) as lock:
        who = Actor(name="a thief", kind="person")
        log.append(lock, action, key=OLD, actor=who, version=version)  # type: ignore[arg-type]


def test_a_key_that_signs_no_more_adds_nothing_to_the_log(project: Path):
    promoted(b"second")
    until = len(it.log())
    use(NEW)
    forge("promote", "1")
    with (
        opened((NEW.public,), former_keys=retired(until)) as found,
        pytest.raises(IntegrityError, match="does not hold"),
    ):
        promotion.recover(found)
    use(OLD)
    assert it.alias() == "2"


def test_a_rollback_leads_to_no_candidate_that_only_has_the_number_of_a_champion(project: Path):
    promoted(b"second")
    with opened() as found:
        found.client.delete_registered_model(NAME)
    it.another(b"another one")
    assert register() == "1"
    with pytest.raises(InputError, match="another candidate than in the audit log"):
        rollback("1")


def test_only_what_the_log_knows_is_signed_again(project: Path):
    version = register()
    with opened() as found:
        digest = lookup.number(found, version).tags["wattline.candidate"]
        tags = {"wattline.candidate": digest, "wattline.decision": "accepted"}
        source = lookup.number(found, version)
        found.client.create_model_version(NAME, source.source, source.run_id, tags=tags)
        with pytest.raises(IntegrityError, match="not in the audit log as this candidate"):
            registration.sign(found, "2")


def test_an_empty_log_is_not_taken_for_the_truth(project: Path, monkeypatch: pytest.MonkeyPatch):
    promoted()
    monkeypatch.setenv("WATTLINE_LEDGER_URI", f"sqlite:///{project}/.wattline/typo.db")
    settings.cache_clear()
    with opened() as found, pytest.raises(InputError, match="empty or another one; check WATTLINE_LEDGER_URI"):
        promotion.recover(found)
    assert it.alias() == "1"


def test_of_two_rollbacks_at_once_one_goes_back(project: Path, monkeypatch: pytest.MonkeyPatch):
    promoted(b"second", b"third")
    with opened() as found:
        unchanged, first = promotion._unchanged, []

        def overtaken(*arguments: object) -> object:
            if not first:
                first.append(True)
                with model.ledger(PARAMS) as log:
                    before = log.champion(NAME)
                monkeypatch.setattr(promotion, "_unchanged", unchanged)
                return unchanged(found, before + b" " if before else None)
            return unchanged(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(promotion, "_unchanged", overtaken)
        with pytest.raises(SupersededError):
            promotion.rollback(found)
    assert it.alias() == "3"


def test_a_rollback_that_was_cut_off_and_is_asked_for_again_goes_back_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    promoted(b"second", b"third")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(WattlineError):
            rollback()
    assert rollback() == "2"
    assert it.alias() == "2"


def test_a_report_that_the_store_changed_on_the_way_is_not_signed(project: Path, monkeypatch: pytest.MonkeyPatch):
    from wattline.registry import tracking

    tracking.log_training(it.candidate(), params={"a": 1}, curves=[{"loss": 1.0}])
    copy = Folder.download

    def altered(self: Folder, folder: Path, part: str) -> None:
        copy(self, folder, part)
        if part == "reports":
            path = folder / part / "measure.json"
            path.write_text(path.read_text().replace("12.0", "0.001"))

    monkeypatch.setattr(Folder, "download", altered)
    with pytest.raises(IntegrityError, match=r"another reports/measure\.json"):
        register()


def test_no_tag_makes_a_champion_a_double_that_is_deleted(project: Path):
    promoted(b"second")
    with opened() as found:
        digest = lookup.number(found, "1").tags["wattline.candidate"]
        found.client.set_model_version_tag(NAME, "2", "wattline.candidate", digest)
        with pytest.raises(WattlineError):
            promotion.recover(found)
        assert lookup.by_number(found.client, NAME, "2") is not None


def test_a_file_that_git_was_told_not_to_show_is_a_change_all_the_same(project: Path):
    subprocess.run(["git", "config", "status.showUntrackedFiles", "no"], check=True)
    files.write_text(Path("src/project/added.py"), "x = 1\n")
    with pytest.raises(InputError, match="sources differ from the commit"):
        register()


@pytest.mark.parametrize("secret", ["https://user:" + "letmein@example.org", "glpat-" + "a1B2" * 6])
def test_a_secret_in_the_params_stays_here(project: Path, secret: str):
    files.write_text(Path("params.yaml"), f"task: {{name: anomaly, folder: src/project}}\naddress: {secret}\n")
    with pytest.raises(InputError, match=r"line 2 of params\.yaml holds what looks like a secret"):
        register(allow_dirty=True)


def test_who_approved_has_seen_every_override(project: Path):
    promoted()
    it.another(b"second")
    version = register()
    with opened(approvals=1, overridable=("champion",)) as found:
        approval.approve(found, version)
        with pytest.raises(InputError, match="has not seen an override"):
            promotion.promote(found, version, overrides={"champion": "because"})


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://w:" + "hun/ter22@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=w&password=hun/ter22",
        "postgresql://w:" + "p@hun/ter22@127.0.0.1:1/x",
    ],
)
def test_no_spelling_of_an_address_shows_its_password(project: Path, monkeypatch: pytest.MonkeyPatch, uri: str):
    monkeypatch.setenv("WATTLINE_LEDGER_URI", uri)
    settings.cache_clear()
    with pytest.raises(WattlineError) as caught:
        promote()
    assert "ter22" not in str(caught.value)


def test_a_store_of_another_kind_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://127.0.0.1/x")
    settings.cache_clear()
    with pytest.raises(InputError, match="is of kind 'mysql'"), store.connected():
        pass
