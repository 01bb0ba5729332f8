"""A version moves between sites: the same bytes, marked, once, and with no right that it had elsewhere."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import signing_key

from tests.proof.conftest import nobody_at
from tests.proof.site import NAME, Site
from tests.registry.archive.site import content
from wattline import files, signing
from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError, WattlineError
from wattline.proof.trace import trace
from wattline.records import Candidate
from wattline.registry import fetching, lookup
from wattline.registry.model import CHALLENGER
from wattline.signing import entry as entries

STEPS = (
    "mlflow.MlflowClient.create_run",
    "mlflow.MlflowClient.log_artifacts",
    "mlflow.MlflowClient.set_terminated",
    "mlflow.MlflowClient.create_model_version",
    "mlflow.MlflowClient.log_artifact",
    "wattline.registry.moving.statements.attach",
    "wattline.registry.model.Change.append",
    "mlflow.MlflowClient.set_registered_model_alias",
)
"""What an import does, in order."""


def tags(site: Site, version: str) -> dict[str, str]:
    with site.opened(reading=True) as found:
        return dict(found.client.get_model_version(NAME, version).tags)


def challenger(site: Site) -> str | None:
    with site.opened(reading=True) as found:
        one = lookup.by_alias(found.client, NAME, CHALLENGER)
        return None if one is None else str(one.version)


@pytest.fixture(scope="module")
def exporter(templates: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose version 1 became champion. Nobody changes it."""
    folder = tmp_path_factory.mktemp("exporter")
    with nobody_at(folder / "temporary"):
        made = Site(shutil.copytree(templates / "here", folder / "here"))
        made.register(b"moved")
        made.promote()
        made.export("1")
    return made


@pytest.fixture
def archive(exporter: Site, tmp_path: Path) -> Path:
    """The archive of that version."""
    (path,) = exporter.folder.glob("*.wattline.tar")
    return Path(shutil.copyfile(path, tmp_path / path.name))


class TestImport:
    def test_the_same_bytes_arrive(self, exporter, elsewhere, archive):
        version = elsewhere.take(archive)
        for part in ("candidate", "reports", "cards", "provenance"):
            here, there = exporter.artifacts("1") / part, elsewhere.artifacts(version) / part
            assert files.digests(there) == files.digests(here)

    def test_it_is_marked_and_says_the_commit_of_over_there(self, exporter, elsewhere, archive):
        found = tags(elsewhere, elsewhere.take(archive))
        assert found["wattline.imported"] == f"site A: {NAME} version 1"
        assert found["wattline.commit"] == tags(exporter, "1")["wattline.commit"]
        assert found["wattline.dirty"] == "false"
        assert found["wattline.key"] == signing_key(1).public.id

    def test_it_is_signed_here_anew(self, elsewhere, archive):
        version = elsewhere.take(archive)
        envelope = (elsewhere.artifacts(version) / "statements" / version / signing.FILE).read_bytes()
        assert signing.verify(envelope, [signing_key(1).public]).predicate.version == version

    def test_what_the_other_site_signed_is_kept_beside_it(self, elsewhere, archive):
        folder = elsewhere.artifacts(elsewhere.take(archive)) / "imported"
        inside = content(archive.read_bytes())
        for name in ("statement.dsse.json", "history.jsonl"):
            assert (folder / name).read_bytes() == inside[name]
        history = [entries.peek(line) for line in (folder / "history.jsonl").read_bytes().splitlines()]
        assert [one.action for one in history] == ["register", "promote"]

    def test_the_log_says_what_came_from_where(self, elsewhere, archive):
        elsewhere.take(archive)
        with elsewhere.opened(reading=True) as found:
            (entry,) = found.about("1")
        inside = content(archive.read_bytes())
        assert entry.action == "import"
        assert entry.reason == f"version 1 of {NAME} from site A, exported 2026-03-01 12:00 UTC"
        assert entry.evidence["their statement"] == hashlib.sha256(inside["statement.dsse.json"]).hexdigest()
        assert entry.evidence["their history"] == hashlib.sha256(inside["history.jsonl"]).hexdigest()

    def test_twice_is_once(self, elsewhere, archive):
        assert [elsewhere.take(archive) for _ in range(3)] == ["1", "1", "1"]
        assert elsewhere.versions() == ["1"]
        assert elsewhere.actions() == ["import"]

    def test_its_trace_names_the_site_and_no_run_or_commit_of_ours(self, exporter, elsewhere, archive):
        version = elsewhere.take(archive)
        with elsewhere.opened(reading=True) as found:
            told = trace(found, version, log=None)
        (run,) = told.lineage.of_kind("run")
        (commit,) = told.lineage.of_kind("commit")
        assert (run.label, run.began) == ("training at site A", None)
        assert commit.id == f"commit:{tags(exporter, '1')['wattline.commit']}"
        assert told.root.facts["imported from"] == f"site A: {NAME} version 1"
        assert "site:site%20A" in told.lineage.causes(told.root.id)

    def test_one_that_is_registered_here_already_stays_one_and_our_own(self, elsewhere, archive):
        elsewhere.register(b"moved")
        assert elsewhere.take(archive) == "1"
        assert elsewhere.versions() == ["1"]
        assert "wattline.imported" not in tags(elsewhere, "1")
        assert challenger(elsewhere) == "1"

    def test_one_that_was_imported_and_is_then_registered_stays_one(self, elsewhere, archive):
        elsewhere.take(archive)
        assert elsewhere.register(b"moved") == "1"
        assert tags(elsewhere, "1")["wattline.imported"].startswith("site A")

    def test_one_that_was_deleted_here_comes_back_as_another_version(self, elsewhere, archive):
        elsewhere.take(archive)
        with elsewhere.opened() as found:
            found.client.delete_model_version(NAME, "1")
        assert elsewhere.take(archive) == "2"
        assert elsewhere.versions() == ["2"]

    def test_it_may_move_on_and_says_where_it_came_from_last(self, exporter, elsewhere, third, archive):
        elsewhere.take(archive)
        version = third.take(elsewhere.export("1"))
        assert tags(third, version)["wattline.imported"] == f"site B: {NAME} version 1"
        assert tags(third, version)["wattline.commit"] == tags(exporter, "1")["wattline.commit"]
        history = (third.artifacts(version) / "imported" / "history.jsonl").read_bytes().splitlines()
        assert entries.peek(history[0]).reason.startswith(f"version 1 of {NAME} from site A")

    def test_back_at_home_it_is_the_version_it_was(self, site, elsewhere):
        site.register(b"moved")
        elsewhere.take(site.export())
        site.trust(elsewhere)
        assert site.take(elsewhere.export("1")) == "1"
        assert site.versions() == ["1"]


class TestRights:
    def test_it_becomes_champion_where_there_was_none(self, elsewhere, archive):
        elsewhere.take(archive)
        assert elsewhere.promote() == "1"
        with elsewhere.here() as loaded:
            fetched = fetching.fetch_champion(files.CHAMPION, name=NAME, params=loaded.registry)
            said = signing.verify_folder(
                files.CHAMPION,
                [signing_key(1).public],
                candidate=files.read_record(files.CHAMPION / "candidate.json", Candidate),
                name=NAME,
                version="1",
            )
        assert fetched.version == said.predicate.version == "1"

    def test_it_takes_no_place_of_a_champion_that_it_was_not_compared_with(self, elsewhere, archive):
        elsewhere.register(b"ours")
        elsewhere.promote()
        elsewhere.take(archive)
        with pytest.raises(SupersededError, match="was compared with no champion, the champion is version 1"):
            elsewhere.promote()

    def test_approvals_of_the_other_site_are_none_here(self, site, elsewhere):
        site.knobs(registry={"approvals": 1})
        site.register(b"moved")
        site.approve()
        site.promote()
        elsewhere.knobs(registry={"approvals": 1})
        elsewhere.take(site.export("1"))
        with pytest.raises(RejectedError, match=r"approved by 0 of 1 people \(nobody\)"):
            elsewhere.promote()

    def test_a_gate_that_was_overridden_there_is_not_overridden_here(self, site, elsewhere):
        site.knobs(registry={"overridable": ["energy"]})
        site.register(b"moved", failed=["energy"], overrides={"energy": "they do not mind"})
        elsewhere.knobs(registry={"overridable": ["energy"]})
        with pytest.raises(RejectedError, match="was rejected by energy"):
            elsewhere.take(site.export())
        assert elsewhere.versions() == []
        assert elsewhere.actions() == ["refuse"]


class TestRefusals:
    def test_a_key_that_nobody_trusts(self, exporter, elsewhere, archive):
        elsewhere.knobs(registry={"import_keys": [".wattline/keys/public.pem"]})
        with pytest.raises(InputError, match=f"{signing_key(0).public.id}, which is not trusted here"):
            elsewhere.take(archive)

    def test_no_trusted_key_at_all(self, exporter, elsewhere, archive):
        elsewhere.knobs(registry={"import_keys": []})
        with pytest.raises(InputError, match=r"name one in registry\.import_keys"):
            elsewhere.take(archive)

    def test_an_archive_about_another_task(self, exporter, elsewhere, archive):
        path = elsewhere.folder / "params.yaml"
        path.write_text(path.read_text().replace("name: anomaly", "name: power").replace("\nanomaly:", "\npower:"))
        with pytest.raises(InputError, match=r"holds a model for task 'anomaly', params\.yaml is about 'power'"):
            elsewhere.take(archive)

    @pytest.mark.parametrize("name", ["nothing.tar", ".", "params.yaml"])
    def test_what_is_no_archive(self, elsewhere, name):
        with pytest.raises(WattlineError, match="cannot be imported") as caught:
            elsewhere.take(elsewhere.folder / name)
        assert caught.value.exit_code == 2

    def test_one_altered_byte(self, elsewhere, archive):
        altered = bytearray(archive.read_bytes())
        altered[altered.index(b'"vus_pr"') + 2] ^= 1
        archive.write_bytes(altered)
        with pytest.raises(IntegrityError, match="nothing of it was kept"):
            elsewhere.take(archive)
        assert elsewhere.versions() == []

    def test_without_a_signing_key_nothing_is_imported(self, elsewhere, archive):
        elsewhere.private.unlink()
        with pytest.raises(InputError, match="wattline keys new"):
            elsewhere.take(archive)
        assert elsewhere.versions() == []


class TestExport:
    def test_it_is_in_the_log(self, site):
        site.register(b"moved")
        site.export()
        assert site.actions() == ["register", "export"]

    def test_no_rows_and_no_keys_leave(self, archive):
        inside = content(archive.read_bytes())
        assert not [name for name in inside if name.endswith((".parquet", ".pem"))]
        assert not [name for name, one in inside.items() if b"rows of node-01" in one or b"PRIVATE KEY" in one]

    @pytest.mark.parametrize("name", ["candidate/model.onnx", "reports/decide.json", "provenance/params.yaml"])
    def test_one_that_was_altered_in_the_store_does_not_leave(self, site, name):
        site.register(b"moved")
        path = site.artifacts("1") / name
        path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
        with pytest.raises(WattlineError) as caught:
            site.export()
        assert caught.value.exit_code == 2
        assert not list(site.folder.glob("*.tar"))

    def test_one_that_was_rejected_in_the_store_does_not_leave(self, site):
        site.register(b"moved")
        with site.opened() as found:
            found.client.set_model_version_tag(NAME, "1", "wattline.decision", "rejected")
        with pytest.raises(RejectedError, match="was not accepted"):
            site.export()

    @pytest.mark.parametrize("version", ["9", "x", "", "-1"])
    def test_one_that_is_not_there(self, exporter, version):
        with pytest.raises(InputError, match="has no version"):
            exporter.export(version)

    def test_a_place_where_nothing_can_be_written_is_named(self, site):
        site.register(b"moved")
        with pytest.raises(InputError, match=r"cannot be exported: .*; check the path and the disk"):
            site.export(to=site.folder / "params.yaml" / "below.tar")
        assert site.actions() == ["register"]


class TestKilled:
    @pytest.mark.parametrize("step", STEPS)
    def test_before_any_step_it_is_repeated_and_there_is_one_version(self, elsewhere, archive, step, monkeypatch):
        with monkeypatch.context() as patch:
            fail_at(patch, step)
            with pytest.raises(KeyboardInterrupt):
                elsewhere.take(archive)
        version = elsewhere.take(archive)
        assert elsewhere.versions() == [version]
        assert elsewhere.actions() == ["import"]
        assert challenger(elsewhere) == version
        assert (elsewhere.artifacts(version) / "imported" / "history.jsonl").is_file()
        assert elsewhere.promote() == version

    def test_what_a_registration_left_half_made_does_not_pass_for_the_import(self, elsewhere, archive, monkeypatch):
        with monkeypatch.context() as patch:
            fail_at(patch, "wattline.registry.registration.statements.attach")
            with pytest.raises(KeyboardInterrupt):
                elsewhere.register(b"moved")
        version = elsewhere.take(archive)
        assert tags(elsewhere, version)["wattline.imported"].startswith("site A")
        assert elsewhere.versions() == [version]
        assert elsewhere.promote() == version

    def test_an_export_that_was_killed_leaves_nothing_and_is_repeated(self, site, monkeypatch):
        site.register(b"moved")
        with monkeypatch.context() as patch:
            fail_at(patch, "wattline.registry.archive.writing.blocks.ending")
            with pytest.raises(KeyboardInterrupt):
                site.export()
        assert not [path for path in site.folder.iterdir() if "wattline.tar" in path.name]
        assert site.export().is_file()


def fail_at(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let the process die right before it does something."""

    def dies(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    patch.setattr(step, dies)
