"""The whole story of a model on the stacks of a real site, and what a byte that changed in storage does to it."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backends.s3 import Store

from tests.registry.backends.stack import Stack, changed, fetch, new_candidate, new_name
from tests.registry.project import TRUSTED
from wattline import files, params, signing
from wattline.errors import InputError, RejectedError, WattlineError
from wattline.params import Params
from wattline.proof import zoo
from wattline.records import Candidate
from wattline.registry import approval, auditing, moving, promotion, registration
from wattline.settings import settings

ROOT = Path(__file__).parents[3]
KEY = ".wattline/keys/public.pem"


@pytest.fixture
def loaded(project: Path) -> Params:
    """The project's params, about a task called anomaly."""
    text = (ROOT / "params.yaml").read_text().replace("node_anomaly", "anomaly")
    (project / "params.yaml").write_text(text)
    (project / "dvc.lock").write_text("schema: '2.0'\n")
    subprocess.run(["git", "add", "dvc.lock"], cwd=project, check=True)
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    subprocess.run(["git", *author, "commit", "-q", "-a", "-m", "params"], cwd=project, check=True)
    return params.load()


@pytest.fixture
def on_postgresql(project: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's store and the audit log in one database, without a server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    settings.cache_clear()


def test_the_story_on_a_tracking_server_with_postgresql_and_s3(
    stack: Stack, loaded: Params, monkeypatch: pytest.MonkeyPatch
):
    tell(loaded, monkeypatch)
    state = stack.check(loaded.model)
    assert (state.champion, state.challenger, len(state.versions)) == ("2", "2", 2)


def test_the_story_on_postgresql_alone(on_postgresql: None, loaded: Params, monkeypatch: pytest.MonkeyPatch):
    tell(loaded, monkeypatch)


def tell(loaded: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register, approve, promote, roll back, recover, verify, fetch, list, export, and import elsewhere."""
    name, digests = loaded.model, [new_candidate()]
    first = files.digests(files.CANDIDATE)
    with changed(name, approvals=1, overridable=("champion",)) as model:
        assert [registration.register(model) for _ in range(2)] == ["1", "1"]
        with pytest.raises(RejectedError, match="approved by 0 of 1"):
            promotion.promote(model)
        approval.approve(model, reason="it is good")
        assert promotion.promote(model) == "1"
        digests.append(new_candidate(champion=fetch(name)))
        assert registration.register(model) == "2"
        approval.approve(model, "2")
        assert promotion.promote(model) == "2"
        assert promotion.rollback(model, reason="it is not") == "1"
        model.client.set_registered_model_alias(name, "champion", "2")  # by hand, behind our back
        with pytest.raises(InputError, match="wattline recover"):
            fetch(name)
        promotion.recover(model)
        assert fetch(name).digest == digests[0]
        assert {path: files.sha256(files.CHAMPION / path) for path in first} == first
        candidate = files.read_record(files.CHAMPION / "candidate.json", Candidate)
        signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate, name=name)
        assert promotion.promote(model, "2") == "2"
        listed = zoo.entries(model)
        archive = moving.export(model, "2", destination=Path("wattline-2.tar"), now=datetime.now(UTC))
    assert [(entry.version, entry.status) for entry in listed] == [("1", "former champion"), ("2", "champion")]
    actions = "register refuse approve promote register approve promote rollback recover promote export"
    assert [entry.action for entry in auditing.read(loaded)] == actions.split()
    head = auditing.export(loaded, Path("wattline-audit.jsonl"), at=datetime.now(UTC))
    assert auditing.verify(loaded, file=Path("wattline-audit.jsonl")) == auditing.verify(loaded) == head
    take(archive, digests[1], name, monkeypatch)


def take(archive: Path, digest: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import `archive` at a site of its own, which has nothing but files."""
    with monkeypatch.context() as there:
        there.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('.wattline/mlflow.db').resolve()}")
        there.delenv("WATTLINE_LEDGER_URI", raising=False)
        settings.cache_clear()
        with changed(name, import_keys=(KEY,), overridable=("champion",)) as model:
            assert [moving.import_archive(model, archive) for _ in range(2)] == ["1", "1"]
            assert promotion.promote(model, overrides={"champion": "none here"}) == "1"
            assert [entry.status for entry in zoo.entries(model)] == ["champion"]
        assert fetch(name).digest == digest
        assert {path: files.sha256(files.CHAMPION / path) for path in files.digests(files.CANDIDATE)} == files.digests(
            files.CANDIDATE
        )
    settings.cache_clear()


def test_a_byte_flipped_in_any_object_of_s3_stops_promote_rollback_and_fetch(stack: Stack, s3: Store):
    name = new_name()
    new_candidate()
    with changed(name) as model:
        registration.register(model)
        promotion.promote(model)
        new_candidate(champion=fetch(name))
        registration.register(model)
        before, entries = stack.state(name), model.ledger.envelopes()
        for path, key in objects(stack, s3, name, "2").items():
            said = refused(path, lambda: promotion.promote(model))
            assert said.startswith(f"version 2 of {name}: {key} did not come from the MLflow store"), said
            assert "damaged there: restore it" in said
        assert (stack.state(name), model.ledger.envelopes()) == (before, entries)
        promotion.promote(model)
        before, entries = stack.state(name), model.ledger.envelopes()
        for path, key in objects(stack, s3, name, "1").items():
            if key.endswith("promotion.dsse.json"):
                continue  # is replaced, whatever lies there
            said = refused(path, lambda: promotion.rollback(model))
            assert said.startswith(f"version 1 of {name}: {key} did not come"), said
        assert (stack.state(name), model.ledger.envelopes()) == (before, entries)
        fetched = files.digests(files.CHAMPION)
        for path, key in objects(stack, s3, name, "2").items():
            assert f"version 2 of {name}: {key} did not come" in refused(path, lambda: fetch(name))
        assert files.digests(files.CHAMPION) == fetched
    stack.check(name)


def test_a_damaged_record_of_the_promotion_is_replaced(stack: Stack, s3: Store):
    name = new_name()
    new_candidate()
    with changed(name) as model:
        registration.register(model)
        promotion.promote(model)
        (path,) = (path for path, key in objects(stack, s3, name, "1").items() if key.endswith("promotion.dsse.json"))
        content = path.read_bytes()
        path.write_bytes(b"?" + content[1:])
        with pytest.raises(WattlineError, match=r"promotion\.dsse\.json did not come"):
            fetch(name)
        promotion.recover(model)
    assert path.read_bytes() == content
    stack.check(name)


def objects(stack: Stack, s3: Store, name: str, version: str) -> dict[Path, str]:
    """Every object below the run of a version -> its path there."""
    run = stack.server.get_model_version(name, version).run_id
    found = [path for path in s3.folder.rglob("*") if path.is_file() and run in path.parts]
    assert len(found) > 12
    return {path: str(path).partition(f"{run}/artifacts/")[2] for path in sorted(found)}


def refused(path: Path, verb: Callable[[], object]) -> str:
    """What `verb` says while a byte of `path` is another one."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(WattlineError) as caught:
            verb()
    finally:
        path.write_bytes(content)
    return str(caught.value)
