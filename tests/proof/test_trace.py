"""From a prediction, a version or a dataset to everything it rests on: complete, true, and without secrets."""

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import rocrate
from builders import DATASET, signing_key, write_keys
from prov.model import ProvDocument

from tests.environments import make, run
from tests.proof.site import LOG, NAME, Lived, Site
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.proof import telling
from wattline.proof.draft import Draft
from wattline.proof.trace import Trace, trace
from wattline.registry.actors import actor
from wattline.signing import keys, model_keys
from wattline.supply.lineage import crate
from wattline.supply.lineage.graph import Node

SUPPLY = Path(__file__).parents[1] / "supply" / "lineage"
REACHED = (
    "version",
    "candidate",
    "run",
    "commit",
    "params",
    "lock",
    "environment",
    "prepared data",
    "stage",
    "dataset",
    "source file",
    "site",
)
"""What a prediction leads to, step by step."""


def traced(site: Site, what: str) -> Trace:
    with site.opened(reading=True) as found:
        return trace(found, what, log=site.folder / LOG)


def told(site: Site, what: str, **paths: Path) -> str:
    with site.here() as loaded:
        return telling.tell(loaded, what, **paths)


def only(found: Trace, kind: Any) -> Node:
    (node,) = found.lineage.of_kind(kind)
    return node


def me() -> str:
    return actor().name


class TestPrediction:
    def test_it_leads_to_the_source_through_every_step(self, lived):
        found = traced(lived.site, lived.prediction)
        causes = [found.lineage.node(name) for name in found.lineage.causes(found.root.id)]
        assert found.root.kind == "prediction"
        assert {node.kind for node in causes} >= set(REACHED)

    def test_the_energy_and_every_verdict_are_there(self, lived):
        found = traced(lived.site, lived.prediction)
        assert {node.label for node in found.lineage.of_kind("energy")} == {"training", "1,000 predictions"}
        assert {node.label for node in found.lineage.of_kind("verdict")} == {
            "integrity: PASS",
            "quality: PASS",
            "champion: PASS",
            "energy: FAIL",
        }
        assert all("J [" in node.facts["energy"] for node in found.lineage.of_kind("energy"))

    def test_who_approved_it_is_there_and_who_overrode_a_gate(self, lived):
        found = traced(lived.site, lived.prediction)
        override, approval = found.lineage.of_kind("approval")
        assert (override.label, override.facts["reason"]) == (
            f"gate energy overridden by {me()}",
            "the meter was broken",
        )
        assert (approval.label, approval.facts["reason"]) == (f"by {me()}", "looks good")
        promotion = found.lineage.of_kind("promotion")[0]
        assert {override.id, approval.id} <= found.lineage.causes(promotion.id)

    def test_feedback_on_it_is_there_with_its_author(self, lived):
        found = traced(lived.site, lived.prediction)
        feedback = only(found, "feedback")
        assert feedback.label == "an anomaly"
        assert feedback.facts["comment"] == "the fan was broken"
        assert "person:ada" in found.lineage.causes(feedback.id)

    def test_its_figures_are_those_of_the_answer(self, lived):
        facts = traced(lived.site, lived.prediction).root.facts
        assert (facts["unit"], facts["score"], facts["alarm"]) == ("node-01", "3.5 (threshold 2)", "yes")
        assert facts["window SHA-256"] == "e" * 64

    def test_one_without_score_threshold_or_unit_is_traced_too(self, site):
        candidate = site.train(b"one")
        site.register()
        nan = float("nan")
        name = site.answer(candidate, "1", scores=[nan], thresholds=None, units=[""])
        assert not {"score", "alarm", "unit"} & set(traced(site, name).root.facts)

    def test_one_by_a_folder_without_a_version_is_found_by_its_candidate(self, site):
        candidate = site.train(b"one")
        site.register()
        assert traced(site, site.answer(candidate, None)).version.version in (1, "1")

    def test_one_by_a_candidate_that_was_never_registered_says_so(self, site):
        candidate = site.train(b"one")
        name = site.answer(candidate, None)
        with pytest.raises(InputError, match=r"by candidate [0-9a-f]{12}, which was never registered"):
            traced(site, name)

    def test_one_by_another_model_says_where_to_look(self, site):
        name = site.answer(site.train(), "1", name="power-m100")
        with pytest.raises(InputError, match=r"is by power-m100, params\.yaml is about anomaly-simulator"):
            traced(site, name)

    def test_one_by_another_candidate_of_the_same_number_gets_no_false_history(self, site):
        other = site.train(b"of another registry")
        site.register(b"one")
        name = site.answer(other, "1")
        with pytest.raises(IntegrityError, match=r"but version 1 of anomaly-simulator here is candidate [0-9a-f]{12}"):
            traced(site, name)

    def test_one_by_a_version_that_was_deleted_says_so(self, site):
        name = site.answer(site.train(b"one"), site.register())
        with site.opened() as found:
            found.client.delete_model_version(NAME, "1")
        with pytest.raises(InputError, match="version 1 of anomaly-simulator was deleted"):
            traced(site, name)


class TestVersion:
    def test_it_leads_to_the_source_through_every_step(self, lived):
        found = traced(lived.site, "1")
        kinds = {found.lineage.node(name).kind for name in found.lineage.causes(found.root.id)}
        assert kinds >= set(REACHED) - {"version"}

    @pytest.mark.parametrize(
        ("version", "standing"),
        [
            ("1", r"champion since \d{4}-\d\d-\d\d \d\d:\d\d UTC"),
            ("2", r"champion until .* UTC, when version 1 was gone back to by \w+: too many alarms"),
            ("3", "never champion"),
        ],
    )
    def test_it_says_how_it_stands(self, lived, version, standing):
        assert re.fullmatch(standing, traced(lived.site, version).root.facts["standing"])

    def test_a_rollback_to_it_is_told_with_its_reason(self, lived):
        first, second = traced(lived.site, "1").lineage.of_kind("promotion")
        assert first.label == "to champion"
        assert second.label == "to champion again, by rollback, in place of version 2"
        assert second.facts["reason"] == "too many alarms"

    def test_an_approval_of_a_former_statement_does_not_stand_for_todays(self, site):
        site.knobs(registry={"approvals": 1})
        site.register(b"one")
        site.approve(reason="of the first statement")
        write_keys(site.folder / ".wattline" / "keys", seed=5)
        former = site.folder / ".wattline" / "former.pem"
        former.write_bytes(signing_key(0).public.pem())
        site.knobs(registry={"former_keys": [{"file": ".wattline/former.pem", "until": 99}]})
        site.sign("1")
        site.approve(reason="of the second statement")
        site.promote()
        found = traced(site, "1")
        (promotion,) = found.lineage.of_kind("promotion")
        reasons = [found.lineage.node(edge.target).facts.get("reason") for edge in found.lineage.leaving(promotion.id)]
        assert "of the second statement" in reasons
        assert "of the first statement" not in reasons
        assert len(found.lineage.of_kind("statement")) == 2

    def test_a_pipeline_that_nobody_started_is_not_the_person_whose_push_began_it(self, site, monkeypatch):
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv("GITLAB_USER_LOGIN", "ada")
        monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/-/jobs/7")
        site.register(b"one")
        found = traced(site, "1")
        assert only(found, "person").label == "a CI job of ada"
        assert only(found, "run").facts["registered by CI job"] == "https://gitlab.example/-/jobs/7"

    def test_a_training_that_was_not_logged_is_not_given_the_time_of_the_registration(self, site):
        site.register(b"one", log=False)
        found = only(traced(site, "1"), "run")
        assert found.label == "training that was not logged"
        assert (found.began, found.ended) == (None, None)

    def test_sources_that_differed_from_the_commit_are_told(self, site):
        (site.folder / "model_cards" / "..").joinpath("new.py").write_text("changed = True\n")
        site.register(b"one", allow_dirty=True)
        assert only(traced(site, "1"), "commit").facts["sources"] == "differed from the commit"

    @pytest.mark.parametrize(
        "name", ["candidate/model.onnx", "candidate/candidate.json", "reports/decide.json", "provenance/dataset.json"]
    )
    def test_one_that_was_altered_in_the_store_is_refused(self, site, name):
        site.register(b"one")
        path = site.artifacts("1") / name
        path.write_bytes(path.read_bytes().replace(b"e", b"f", 1))
        with pytest.raises(WattlineError) as caught:
            traced(site, "1")
        assert caught.value.exit_code == 2

    def test_one_signed_by_a_key_that_nobody_trusts_is_refused(self, site):
        site.register(b"one")
        site.public.write_bytes(signing_key(9).public.pem())
        with pytest.raises(IntegrityError):
            traced(site, "1")

    def test_it_needs_no_signing_key(self, site):
        site.register(b"one")
        site.private.unlink()
        assert traced(site, "1").root.label == f"{NAME} 1"


class TestDataset:
    @pytest.mark.parametrize("digits", [64, 20, 8])
    def test_it_is_found_by_its_id_or_the_beginning_of_it_and_shows_all_versions(self, lived, digits):
        found = traced(lived.site, DATASET.id[:digits])
        assert found.root.kind == "dataset"
        assert [node.label for node in found.lineage.of_kind("version")] == [f"{NAME} {number}" for number in (1, 2, 3)]
        assert all(found.root.id in found.lineage.causes(node.id) for node in found.lineage.of_kind("version"))
        assert str(found.version.version) == "3"

    def test_in_capitals_it_is_the_same(self, lived):
        assert traced(lived.site, DATASET.id[:12].upper()).root.kind == "dataset"

    def test_a_beginning_that_two_datasets_share_is_refused_with_both(self, site):
        site.register(b"one")
        site.register(b"two")
        other = DATASET.id[:8] + "0" * 56
        with site.opened() as found:
            found.client.set_model_version_tag(NAME, "2", "wattline.data", other)
        with pytest.raises(InputError, match=f"begins the ids of 2 datasets: .*{other}.*; give more of it"):
            traced(site, DATASET.id[:8])

    def test_of_versions_that_were_deleted_the_others_are_shown(self, site):
        site.register(b"one")
        site.register(b"two")
        with site.opened() as found:
            found.client.delete_model_version(NAME, "2")
        assert [node.label for node in traced(site, DATASET.id).lineage.of_kind("version")] == [f"{NAME} 1"]

    def test_its_research_object_says_of_no_other_run_that_it_made_the_model(self, lived, tmp_path):
        told(lived.site, DATASET.id, crate=tmp_path / "crate")
        content = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
        assert len([one for one in content["@graph"] if one["@type"] == "CreateAction"]) == 1


UNKNOWN = ("", " ", "x", "9", "0", "-1", "1234567", "²", "٣", "nothing", "f" * 64, "a" * 5000, "'", "%", DATASET.id[:7])


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_unknown_is_told_in_one_sentence(lived, what):
    with pytest.raises(InputError, match=r"no version|no prediction") as caught:
        traced(lived.site, what)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_without_a_log_of_answers_versions_are_traced_and_predictions_unknown(site):
    site.register(b"one")
    with site.opened(reading=True) as found:
        assert trace(found, "1", log=None).root.kind == "version"
        with pytest.raises(InputError, match="no prediction in a log of answers"):
            trace(found, "0" * 32, log=None)


@pytest.fixture(scope="module")
def written(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prediction in all forms, and the version that gave it as one file."""
    folder = tmp_path_factory.mktemp("forms")
    forms = {"picture": folder / "a.svg", "prov": folder / "a.json", "crate": folder / "crate"}
    (folder / "tree.txt").write_text(told(lived.site, lived.prediction, **forms))
    told(lived.site, "1", crate=folder / "crate.zip")
    return folder


class TestForms:
    def test_tree_and_picture_show_every_node(self, lived, written):
        tree, picture = (written / "tree.txt").read_text(), (written / "a.svg").read_text()
        ElementTree.fromstring(picture)
        for node in traced(lived.site, lived.prediction).lineage.nodes:
            assert f"id: {node.id}" in tree.replace("\n", "") or node.id.partition(":")[2][:20] in tree
            assert f"id: {node.id}" in picture

    def test_the_tree_says_nothing_twice(self, written):
        tree = (written / "tree.txt").read_text()
        for kind in ("prediction", "promotion", "commit", "dataset", "params", "feedback"):
            assert f"{kind}: {kind}" not in tree

    def test_prov_reads_back_with_every_node(self, lived, written):
        document = ProvDocument.deserialize(written / "a.json", format="json")
        found = {record.identifier.localpart for record in document.get_records() if record.identifier is not None}
        assert len(found) >= len(traced(lived.site, lived.prediction).lineage.nodes)

    def test_folder_and_archive_hold_what_they_describe(self, written, tmp_path):
        crate.check(written / "crate")
        with zipfile.ZipFile(written / "crate.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
        crate.check(tmp_path / "unpacked")
        for name in ("candidate/model.onnx", "reports/decide.json", "cards/anomaly.md", "provenance/params.yaml"):
            assert (tmp_path / "unpacked" / name).read_bytes() == (written / "crate" / name).read_bytes()

    def test_what_was_signed_goes_with_it(self, written):
        names = {path.name for path in (written / "crate" / "signed").iterdir()}
        assert names == {"statement.dsse.json", "promotion.dsse.json", "model.sig"}

    def test_licence_and_owner_are_those_of_the_card_it_was_registered_with(self, written):
        text = (written / "crate" / "ro-crate-metadata.json").read_text()
        assert "CC-BY-4.0" in text
        assert "The Centre" in text

    @pytest.mark.timeout(900)
    def test_the_validator_of_others_finds_nothing_that_is_required(self, written, tmp_path):
        context = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
        crates = (written / "crate", written / "crate.zip")
        said = run(
            make("roc-validator"),
            "roc-validator",
            "python",
            SUPPLY / "with_roc_validator.py",
            context,
            tmp_path,
            *crates,
        )
        for issues in json.loads(said.splitlines()[-1]).values():
            assert [issue for issue in issues if issue.startswith("REQUIRED")] == []

    def test_an_older_research_object_is_replaced(self, lived, written, tmp_path):
        shutil.copytree(written / "crate", tmp_path / "crate")
        (tmp_path / "crate" / "old.txt").write_text("old")
        told(lived.site, "1", crate=tmp_path / "crate")
        crate.check(tmp_path / "crate")

    @pytest.mark.parametrize("name", [".", "..", "project", "file", "taken.zip"])
    def test_nothing_else_is_ever_replaced_by_one(self, lived, tmp_path, monkeypatch, name):
        for folder in ("project/src", "taken.zip"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "file").write_text("precious")
        (tmp_path / "project" / "precious").write_text("precious")
        monkeypatch.chdir(tmp_path / "project" if name in (".", "..") else tmp_path)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError, match="is no research object; name a path that is free"):
            told(lived.site, "1", crate=Path.cwd() / name)
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("form", ["picture", "prov", "crate"])
    def test_where_nothing_can_be_written_the_path_is_named(self, lived, tmp_path, form):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(InputError, match=r"file/below cannot be written: .*; name another path"):
            told(lived.site, "1", **{form: tmp_path / "file" / "below"})


class TestSecrets:
    def test_no_form_holds_a_key_or_a_password(self, lived, tmp_path):
        forms = {"picture": tmp_path / "a.svg", "prov": tmp_path / "a.json", "crate": tmp_path / "crate"}
        tree = told(lived.site, lived.prediction, **forms)
        content = tree.encode() + b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        folder = lived.site.folder / ".wattline" / "keys"
        for name in (keys.PRIVATE, model_keys.PRIVATE):
            secret = (folder / name).read_bytes().splitlines()[1]
            assert secret not in content
        assert b"PRIVATE KEY" not in content

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://user:hunter2@host/database",
            "https://hunter2@host/x",
            "https://host/x?private_token=hunter2",
            "see https://host/x?X-Amz-Signature=hunter2&b=c and more",
        ],
    )
    def test_addresses_lose_what_gives_access(self, text):
        draft = Draft()
        node = draft.add("site", text, text, {"what": text})
        assert "hunter2" not in node.to_json()
        assert "//host" in node.to_json()

    def test_a_param_with_a_password_is_told_without_it(self, site):
        site.train(b"one", knobs={"uri": "postgresql://user:hunter2@host/x"})
        site.register()
        assert "hunter2" not in told(site, "1")
        assert "postgresql://host/x" in told(site, "1")

    @pytest.mark.parametrize("empty", ["", " ", "\n"])
    def test_what_has_no_name_breaks_nothing(self, empty):
        assert Draft().add("site", empty, empty, {"what": empty}).label == "unnamed"
