"""What is promoted carries a signed statement before the alias moves, and a fetched folder proves where it is from."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import evaluation, measurement, signing_key, write_candidate, write_reports

from tests.registry.project import another, fetch, promote, register
from wattline import files, signing
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.records import Candidate
from wattline.registry import statements, store
from wattline.signing.statement import CardSummary, Statement

NAME = "anomaly"
KEY, OTHER = signing_key(0), signing_key(1)
TRUSTED = (KEY.public,)


def candidate(folder: Path = files.CANDIDATE) -> Candidate:
    return files.read_record(folder / "candidate.json", Candidate)


def another(weights: bytes) -> None:
    shutil.rmtree(files.CANDIDATE)
    write_reports(files.REPORTS, write_candidate(files.CANDIDATE, weights=weights))


def promoted() -> str:
    register()
    return promote()


def fetched() -> Statement:
    """The statement of the champion, fetched and verified as a server does."""
    fetch()
    return signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate(files.CHAMPION), name=NAME)


def champion() -> str | None:
    with store.session() as client:
        return client.get_registered_model(NAME).aliases.get("champion")


def stored(version: str) -> Path:
    """Where the store keeps a version's statement."""
    with store.session() as client:
        run = client.get_run(client.get_model_version(NAME, version).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://")) / statements.place(version)


def use(key: signing.PrivateKey) -> None:
    """Make `key` the signing key of this project."""
    path = Path(".wattline/keys/private.pem")
    path.write_bytes(key.pem(None))


def test_a_promoted_model_proves_which_version_of_which_model_it_is(project: Path):
    version = promoted()
    said = fetched().predicate
    assert (said.name, said.version, said.digest) == (NAME, version, candidate().digest)
    assert said.metrics == evaluation(candidate()).contenders["candidate"]
    assert said.energy_per_1000 == measurement(candidate()).candidate.energy_per_1000
    assert [verdict.outcome for verdict in said.verdicts] == ["PASS"] * 3
    assert said.data == candidate().data


def test_the_statement_names_what_else_lies_with_the_version(project: Path):
    promoted()
    reports = {f"reports/{name}": digest for name, digest in files.digests(files.REPORTS).items()}
    cards = {f"cards/{name}": digest for name, digest in files.digests(files.CARDS).items()}
    assert fetched().predicate.evidence == reports | cards


def test_its_time_and_commit_are_those_of_the_version(project: Path):
    version = promoted()
    with store.session() as client:
        found = client.get_model_version(NAME, version)
    said = fetched().predicate
    assert said.registered == datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    assert said.commit == found.tags["wattline.commit"]
    assert found.tags["wattline.key"] == KEY.public.id


def test_every_file_that_a_server_needs_can_be_fetched_by_its_name(project: Path, tmp_path: Path):
    version = promoted()
    with store.session() as client:
        run_id = client.get_model_version_by_alias(NAME, "champion").run_id
        names = ["candidate/candidate.json", *(f"candidate/{name}" for name in candidate().files)]
        for name in [*names, f"statements/{version}/statement.dsse.json"]:
            assert Path(client.download_artifacts(run_id, name, str(tmp_path))).is_file()


def test_promoting_and_fetching_again_gives_the_same_bytes(project: Path):
    version = promoted()
    fetched()
    first, written = files.digests(files.CHAMPION), stored(version).stat().st_mtime_ns
    promote()
    fetched()
    assert files.digests(files.CHAMPION) == first
    assert stored(version).stat().st_mtime_ns == written
    stored(version).unlink()
    promote()
    fetched()
    assert files.digests(files.CHAMPION) == first


def test_without_a_key_nothing_is_promoted_and_the_remedy_is_named(project: Path):
    version = register()
    shutil.rmtree(project / ".wattline" / "keys")
    with pytest.raises(InputError, match="wattline keys new"):
        promote(version)
    assert champion() is None


def test_promoting_again_with_another_key_replaces_the_signature(project: Path):
    promoted()
    fetched()
    use(OTHER)
    promote()
    with pytest.raises(IntegrityError, match="trusted key"):
        fetched()
    signing.verify_folder(files.CHAMPION, (OTHER.public,), candidate=candidate())


def test_a_challenger_can_be_signed_and_no_alias_moves(project: Path):
    version = register()
    assert sign() == version
    assert signing.verify(stored(version).read_bytes(), TRUSTED).predicate.version == version
    assert champion() is None


def fails(*_: object) -> None:
    raise OSError("disk full")


def writes_nothing(*_: object) -> None:
    pass


def writes_another(client: Any, version: Any, envelope: bytes) -> None:
    artifacts = Path(client.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    files.write_bytes(artifacts / statements.place(str(version.version)), envelope.replace(b'"sig":"', b'"sig":"A'))


@pytest.mark.parametrize("upload", [fails, writes_nothing, writes_another])
def test_the_alias_stays_where_it_is_when_the_statement_does_not_arrive_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch, upload: Callable[..., None]
):
    first = promoted()
    another(b"other")
    register()
    monkeypatch.setattr(statements, "_upload", upload)
    with pytest.raises(WattlineError):
        promote()
    assert str(champion()) == first


def edited(envelope: bytes) -> bytes:
    return envelope.replace(b'"payload":"', b'"payload":"AAAA')


@pytest.mark.parametrize("damage", [edited, lambda envelope: envelope[:-40], lambda envelope: b"", lambda _: b"{}"])
def test_a_statement_that_was_altered_in_the_store_is_refused_until_the_next_promotion(
    project: Path, damage: Callable[[bytes], bytes]
):
    version = promoted()
    stored(version).write_bytes(damage(stored(version).read_bytes()))
    with pytest.raises(WattlineError):
        fetched()
    promote()
    assert fetched().predicate.version == version


def test_the_statement_of_a_former_version_is_no_statement_of_the_next(project: Path):
    first = promoted()
    another(b"other")
    second = promoted()
    stored(second).write_bytes(stored(first).read_bytes())
    with pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        fetched()


def test_a_version_that_was_promoted_without_a_statement_is_fetched_and_proves_nothing(project: Path):
    version = promoted()
    stored(version).unlink()
    assert fetch().version == version
    with pytest.raises(InputError, match="no signed statement"):
        signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate())


def test_the_same_candidate_under_two_names_has_two_statements(project: Path):
    promoted()
    versions.register(name="other")
    versions.promote(name="other")
    assert fetched().predicate.name == NAME
    versions.fetch_champion(files.CHAMPION, name="other")
    said = signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate(), name="other", version="1")
    assert said.predicate.name == "other"


@pytest.mark.parametrize("stage", ["evaluate", "measure"])
def test_figures_of_another_candidate_are_not_signed(project: Path, stage: str):
    version = register()
    other = write_candidate(project / "other", weights=b"other")
    record = evaluation(other) if stage == "evaluate" else measurement(other)
    folder = stored(version).parents[2]
    files.write_text(folder / "reports" / f"{stage}.json", record.to_json())
    with pytest.raises(IntegrityError, match=stage):
        promote()
    assert champion() is None


def test_it_says_whether_sources_differed_from_the_commit(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    promoted()
    assert fetched().predicate.dirty is None
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    files.write_text(project / ".gitignore", "/.wattline/\n/models/\n/champion/\n/wattline-*\n")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    another(b"clean")
    promoted()
    assert fetched().predicate.dirty is False
    files.write_text(project / "src" / "project" / "task.py", "changed\n")
    another(b"dirty")
    promoted()
    assert fetched().predicate.dirty is True


BILL = {
    "metadata": {
        "component": {
            "description": "finds anomalies",
            "licenses": [{"license": {"name": "Apache-2.0"}}],
            "manufacturer": {"name": "the owner"},
            "properties": [
                {"name": "wattline:output", "value": "a score [1]"},
                {"name": "wattline:out_of_scope", "value": "safety"},
            ],
            "modelCard": {"considerations": {"useCases": ["triage"], "technicalLimitations": ["no labels"]}},
        }
    }
}


def test_it_repeats_what_the_bill_of_materials_says_of_the_card(project: Path):
    files.write_text(files.CARDS / "anomaly.cdx.json", json.dumps(BILL))
    promoted()
    assert fetched().predicate.card == CardSummary(
        purpose="finds anomalies",
        intended_use="triage",
        out_of_scope="safety",
        limits="no labels",
        output="a score [1]",
        owner="the owner",
        licence="Apache-2.0",
    )


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{}",
        "[]",
        "x",
        '{"metadata": {"component": null}}',
        '{"metadata": {"component": []}}',
        '{"metadata": {"component": {"licenses": [], "modelCard": 7, "properties": [7, null], "description": 7}}}',
    ],
)
def test_a_bill_that_says_nothing_of_the_card_leaves_it_empty(tmp_path: Path, content: str | None):
    path = tmp_path / "anomaly.cdx.json"
    if content is not None:
        path.write_text(content)
    assert statements.card_summary(path) == CardSummary()
