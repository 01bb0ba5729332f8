"""A version carries a signed statement of all that it holds, made as it is registered, and anew on demand."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import evaluation, measurement

from tests.registry.project import (
    KEY,
    NAME,
    TRUSTED,
    acts,
    alias,
    another,
    artifacts,
    candidate,
    fetched,
    following,
    opened,
    promote,
    promoted,
    register,
    state,
    stored_statement,
    tags,
)
from wattline import files, signing
from wattline.errors import IntegrityError, RejectedError, WattlineError
from wattline.registry import artifacts as stored_files
from wattline.registry import lookup, registration, statements
from wattline.signing.statement import CardSummary, Statement


def signed(version: str) -> Statement:
    """The statement of a version, as a server reads it."""
    return signing.verify(stored_statement(version).read_bytes(), TRUSTED)


def test_a_promoted_model_proves_which_version_of_which_model_it_is(project: Path):
    (version,) = promoted()
    said = fetched().predicate
    assert (said.name, said.version, said.digest) == (NAME, version, candidate().digest)
    assert said.metrics == evaluation(candidate()).contenders["candidate"]
    assert said.energy_per_1000 == measurement(candidate()).candidate.energy_per_1000
    assert [verdict.outcome for verdict in said.verdicts] == ["PASS"] * 4
    assert said.data == candidate().data


def test_the_statement_names_what_else_lies_with_the_version(project: Path):
    folder = artifacts(register())
    lying = {
        f"{part}/{name}": digest
        for part in ("reports", "cards", "provenance")
        for name, digest in files.digests(folder / part).items()
    }
    assert signed("1").predicate.evidence == lying
    assert {"reports/decide.json", "cards/anomaly.md", "provenance/environment.json"} <= lying.keys()


def test_its_time_and_commit_are_those_of_the_version(project: Path):
    version = register()
    with opened() as found:
        created = lookup.number(found, version).creation_timestamp
    said = signed(version).predicate
    assert said.registered == datetime.fromtimestamp(created / 1000, UTC)
    assert said.commit == tags(version)["wattline.commit"]
    assert tags(version)["wattline.key"] == KEY.public.id


def test_a_promotion_leaves_the_statement_as_it_was_signed(project: Path):
    version = register()
    before, written = stored_statement(version).read_bytes(), stored_statement(version).stat().st_mtime_ns
    promote()
    assert (stored_statement(version).read_bytes(), stored_statement(version).stat().st_mtime_ns) == (before, written)


def test_a_version_can_be_signed_again_and_no_alias_moves(project: Path):
    version = register()
    stored_statement(version).unlink()
    with opened() as found:
        assert registration.sign(found) == version
    assert signed(version).predicate.version == version
    assert (alias(), acts()) == (None, [("register", "1"), ("sign", "1")])


def test_what_was_not_accepted_is_not_signed_again(project: Path):
    version = register()
    with opened() as found:
        found.client.set_model_version_tag(NAME, version, "wattline.decision", "rejected")
        with pytest.raises(RejectedError, match="was not accepted"):
            registration.sign(found, version)
    assert acts() == [("register", "1")]


def test_altered_bytes_are_not_signed_again(project: Path):
    version = register()
    files.write_text(artifacts(version) / "candidate/weights.safetensors", "altered")
    with opened() as found, pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        registration.sign(found, version)
    assert acts() == [("register", "1")]


def fails(*_: object) -> None:
    raise OSError(28, "No space left on device")


def writes_nothing(*_: object) -> None:
    pass


def writes_another(folder: Any, path: str, content: bytes) -> None:
    files.write_bytes(folder._folder / path, content[:-9])


@pytest.mark.parametrize("upload", [fails, writes_nothing, writes_another])
def test_nothing_counts_when_the_statement_does_not_arrive_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch, upload: Callable[..., None]
):
    promoted()
    before = state()
    with monkeypatch.context() as patch:
        patch.setattr(stored_files.Folder, "write", upload)
        with pytest.raises(WattlineError, match=r"No space left|gave back another"):
            following(b"other")
    assert state()[1:] == before[1:]
    assert following(b"other") == "2"
    assert promote() == "2"


def test_the_same_candidate_under_two_names_has_two_statements(project: Path):
    promoted()
    with opened(name="other") as found:
        registration.register(found)
        said = signing.verify(statements.fetch(lookup.number(found, "1")) or b"", TRUSTED)
    assert said.predicate.name == "other"
    assert fetched().predicate.name == NAME


def test_it_says_whether_sources_differed_from_the_commit(project: Path):
    assert signed(register()).predicate.dirty is False
    another(b"changed")
    files.write_text(project / "src" / "project" / "task.py", "changed\n")
    assert signed(register(allow_dirty=True)).predicate.dirty is True
    another(b"nowhere")
    shutil.rmtree(project / ".git")
    assert signed(register(allow_dirty=True)).predicate.dirty is None


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
