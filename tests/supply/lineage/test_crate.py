"""A research object that others can check: valid, complete, every digest true, and equal for equal inputs."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import rocrate
from builders import write_candidate, write_reports
from prov.model import ProvDocument
from rocrate.rocrate import ROCrate

from tests.environments import make, run
from tests.supply.lineage.samples import (
    COMMIT,
    COMMIT_NODE,
    DATASET,
    LINEAGE,
    PREDICTION,
    RUN,
    TRAINER,
    VERSION,
    at,
    edge,
)
from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.supply.lineage import crate, prov_json
from wattline.supply.lineage.graph import Lineage

METADATA = "ro-crate-metadata.json"
ABOUT = crate.About(
    name="anomaly version 7",
    description="Finds anomalies in the telemetry of compute nodes.",
    published=at(12),
    licence="Apache-2.0",
    owner="CINECA",
    home="https://www.cineca.it",
    author="Ada Lovelace",
    repository="https://gitlab.example.org/hpc/anomaly",
)


def make_version(folder: Path) -> Path:
    """A version's files, as the registry keeps them; one has a name that must be quoted, one is empty."""
    candidate = write_candidate(folder / "candidate")
    write_reports(folder / "reports", candidate)
    texts = {"cards/my card #1.md": "# card\n", "provenance/bill.cdx.json": "{}\n", "reports/none.txt": ""}
    for name, text in texts.items():
        files.write_text(folder / name, text)
    return folder


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return make_version(tmp_path / "version")


@pytest.fixture
def write(tmp_path: Path, version: Path) -> Callable[..., Path]:
    def write(*, about: crate.About = ABOUT, lineage: Lineage = LINEAGE, name: str = "crate") -> Path:
        crate.write(tmp_path / name, version=version, lineage=lineage, root=VERSION.id, about=about)
        return tmp_path / name

    return write


def entities(folder: Path) -> dict[str, dict[str, Any]]:
    return {one["@id"]: one for one in json.loads((folder / METADATA).read_text())["@graph"]}


def change(folder: Path, name: str, fields: Mapping[str, object]) -> None:
    """Write the metadata with other fields of one entity; None takes a field away."""
    content = json.loads((folder / METADATA).read_text())
    (found,) = [one for one in content["@graph"] if one["@id"] == name]
    found |= fields
    for field in [field for field, value in fields.items() if value is None]:
        del found[field]
    (folder / METADATA).write_text(json.dumps(content))


class TestContent:
    def test_it_holds_the_files_of_the_version_and_their_lineage(self, write, version):
        folder = write()
        made = {METADATA, "provenance/lineage.prov.json", "provenance/lineage.svg"}
        found = files.digests(folder)
        assert {name: digest for name, digest in found.items() if name not in made} == files.digests(version)
        assert found.keys() == files.digests(version).keys() | made
        text = (folder / "provenance/lineage.prov.json").read_text()
        assert text == prov_json.render(LINEAGE)
        assert ProvDocument.deserialize(content=text, format="json").get_record(f"wattline:{PREDICTION.id}")

    def test_the_whole_has_a_name_a_date_a_licence_and_an_author(self, write):
        found = entities(write())
        root = found["./"]
        assert (root["name"], root["description"]) == (ABOUT.name, ABOUT.description)
        assert root["datePublished"] == "2026-03-14T12:00:00+00:00"
        assert found[root["license"]["@id"]]["name"] == "Apache-2.0"
        assert root["license"]["@id"] == "https://spdx.org/licenses/Apache-2.0"
        assert found[root["author"]["@id"]]["name"] == "Ada Lovelace"
        assert found[root["publisher"]["@id"]]["name"] == "CINECA"
        assert found[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}

    def test_the_training_run_is_an_action_from_code_and_data_to_the_model(self, write):
        found = entities(write())
        action = found[f"#{RUN.id}"]
        assert action["@type"] == "CreateAction"
        assert action["instrument"] == {"@id": f"#{COMMIT_NODE.id}"}
        assert found[f"#{COMMIT_NODE.id}"]["version"] == COMMIT
        assert found[f"#{COMMIT_NODE.id}"]["codeRepository"] == ABOUT.repository
        assert {"@id": f"#{DATASET.id}"} in action["object"]
        assert {"@id": "candidate/model.onnx"} in action["result"]
        assert action["agent"] == {"@id": f"#{TRAINER.id}"}
        assert (action["startTime"], action["endTime"]) == ("2026-03-14T09:00:00+00:00", "2026-03-14T09:41:00+00:00")
        assert found["./"]["mentions"] == {"@id": f"#{RUN.id}"}

    def test_every_file_has_its_size_its_digest_and_its_format(self, write):
        folder = write()
        kinds = {name: one for name, one in entities(folder).items() if one["@type"] == "File"}
        assert len(kinds) == len(files.digests(folder)) - 1
        assert kinds["cards/my%20card%20%231.md"]["sha256"] == files.sha256(folder / "cards" / "my card #1.md")
        assert kinds["reports/none.txt"]["contentSize"] == "0"
        assert kinds["candidate/model.onnx"]["encodingFormat"] == "application/octet-stream"

    def test_equal_inputs_give_equal_bytes(self, write):
        assert files.digests(write()) == files.digests(write(name="again"))

    def test_it_takes_the_place_of_an_older_one(self, write):
        files.write_text(write() / "old.txt", "old")
        assert not (write() / "old.txt").exists()

    def test_the_library_reads_it(self, write):
        read = ROCrate(write())
        assert read.name == ABOUT.name
        assert read.get("candidate/model.onnx")["sha256"]

    def test_an_owner_without_address_is_the_author_where_no_person_is_named(self, write):
        found = entities(write(about=ABOUT.model_copy(update={"author": None, "home": None, "licence": "ask us"})))
        assert found["./"]["author"] == found["./"]["publisher"] == {"@id": "#owner"}
        assert found[found["./"]["license"]["@id"]]["name"] == "ask us"


class TestArchive:
    def test_it_holds_the_same_bytes_as_the_folder_and_is_the_same_every_time(self, write, version, tmp_path):
        folder = write()
        for name in ("one.zip", "two.zip"):
            crate.write_zip(tmp_path / name, version=version, lineage=LINEAGE, root=VERSION.id, about=ABOUT)
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "one.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
        assert files.digests(tmp_path / "unpacked") == files.digests(folder)
        crate.check(tmp_path / "unpacked")


class TestRefusals:
    """What makes no crate is refused, and nothing is left where it would have been."""

    @pytest.fixture(autouse=True)
    def nothing_left(self, tmp_path):
        yield
        assert not [path for path in tmp_path.iterdir() if path.name.startswith((".crate", "crate"))]

    def test_a_version_without_model(self, write, version):
        for path in (version / "candidate").iterdir():
            path.unlink()
        with pytest.raises(InputError, match="holds no model; download"):
            write()

    def test_a_link(self, write, version):
        (version / "cards" / "secret.md").symlink_to("/etc/passwd")
        with pytest.raises(InputError, match=r"secret\.md is a link"):
            write()

    @pytest.mark.parametrize("name", [METADATA, "provenance/lineage.svg", "provenance/lineage.prov.json"])
    def test_a_file_that_would_be_overwritten(self, write, version, name):
        files.write_text(version / name, "mine")
        with pytest.raises(InputError, match="would be overwritten"):
            write()

    def test_a_lineage_without_run(self, write):
        with pytest.raises(InputError, match="the lineage has no run"):
            write(lineage=Lineage(nodes=(VERSION,)))

    def test_a_run_without_code(self, write):
        lineage = Lineage(nodes=(VERSION, RUN, DATASET), edges=(edge(RUN, "used", DATASET),))
        with pytest.raises(InputError, match="run:a1b2c3d4e5f60718 rests on no commit"):
            write(lineage=lineage)

    def test_an_unknown_root(self, version, tmp_path):
        with pytest.raises(ValueError, match="has no node 'version:8'"):
            crate.write(tmp_path / "crate", version=version, lineage=LINEAGE, root="version:8", about=ABOUT)


class TestLinks:
    """`check` finds every single thing that is not as the metadata says."""

    @pytest.fixture
    def folder(self, write) -> Path:
        found: Path = write()
        crate.check(found)
        return found

    @pytest.mark.parametrize("name", ["candidate/model.onnx", "cards/my card #1.md", "provenance/lineage.prov.json"])
    def test_a_flipped_byte(self, folder, name):
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(IntegrityError, match=rf"{name} has sha256 .*, {METADATA} says .*; export"):
            crate.check(folder)

    def test_a_byte_more(self, folder):
        with (folder / "candidate/model.onnx").open("ab") as stream:
            stream.write(b"\0")
        with pytest.raises(IntegrityError, match=r"model\.onnx has contentSize 870, "):
            crate.check(folder)

    @pytest.mark.parametrize("field", ["sha256", "contentSize"])
    @pytest.mark.parametrize("value", [None, "1", ""])
    def test_a_wrong_or_missing_figure(self, folder, field, value):
        change(folder, "candidate/model.onnx", {field: value})
        with pytest.raises(IntegrityError, match=f"has {field} "):
            crate.check(folder)

    def test_a_missing_file(self, folder):
        (folder / "reports/decide.json").unlink()
        with pytest.raises(IntegrityError, match=r"reports/decide\.json is described and is not there"):
            crate.check(folder)

    def test_a_missing_folder(self, folder):
        (folder / "cards/my card #1.md").unlink()
        (folder / "cards").rmdir()
        with pytest.raises(IntegrityError, match="cards is described and is no folder"):
            crate.check(folder)

    @pytest.mark.parametrize("name", ["more.txt", "candidate/payload.pkl", "candidate/.hidden"])
    def test_a_file_too_many(self, folder, name):
        files.write_text(folder / name, "x")
        with pytest.raises(IntegrityError, match="is described nowhere"):
            crate.check(folder)

    def test_a_link_in_place_of_a_file(self, folder, tmp_path):
        path = folder / "candidate/model.onnx"
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(IntegrityError, match="leads out of the folder"):
            crate.check(folder)

    @pytest.mark.parametrize("name", ["../version/candidate/model.onnx", "%2e%2e/version/candidate/model.onnx"])
    def test_a_part_outside(self, folder, name):
        content = json.loads((folder / METADATA).read_text())
        content["@graph"].append({"@id": name, "@type": "File"})
        (folder / METADATA).write_text(json.dumps(content))
        change(folder, "./", {"hasPart": [{"@id": name}, *entities(folder)["./"]["hasPart"]]})
        with pytest.raises(IntegrityError, match="leads out of the folder"):
            crate.check(folder)

    def test_a_part_that_is_no_part_of_the_whole(self, folder):
        change(folder, "./", {"hasPart": entities(folder)["./"]["hasPart"][1:]})
        with pytest.raises(IntegrityError, match=r"candidate/candidate\.json is described and is no part"):
            crate.check(folder)

    @pytest.mark.parametrize("target", ["candidate/none.onnx", "#person:nobody"])
    def test_a_link_to_nothing(self, folder, target):
        change(folder, f"#{RUN.id}", {"result": {"@id": target}})
        with pytest.raises(IntegrityError, match=f"links to {target}, which is not described"):
            crate.check(folder)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"@graph": [1]}', '{"@graph": 1}', '{"@graph": [{}]}', "\xff"])
    def test_metadata_that_is_none(self, folder, text):
        (folder / METADATA).write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError, match="is no RO-Crate metadata"):
            crate.check(folder)

    def test_no_metadata(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read, so this is no RO-Crate"):
            crate.check(tmp_path)

    def test_a_thing_that_is_described_twice(self, folder):
        content = json.loads((folder / METADATA).read_text())
        content["@graph"].append({"@id": "#author", "@type": "Person"})
        (folder / METADATA).write_text(json.dumps(content))
        with pytest.raises(IntegrityError, match="describes something twice"):
            crate.check(folder)


WITHOUT_HOME = ABOUT.model_copy(update={"home": None})


@pytest.fixture(scope="module")
def issues(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What `roc-validator` says, in an environment of its own and without network, of crates good and bad."""
    environments = make("roc-validator")
    folder = tmp_path_factory.mktemp("crates")
    source = {"version": make_version(folder / "version"), "lineage": LINEAGE, "root": VERSION.id}
    crate.write(folder / "good", **source, about=ABOUT)
    crate.write(folder / "homeless", **source, about=WITHOUT_HOME)
    crate.write_zip(folder / "good.zip", **source, about=ABOUT)
    crate.write(folder / "broken", **source, about=ABOUT)
    (folder / "broken/candidate/model.onnx").unlink()
    change(folder / "broken", "./", {"name": None, "license": None, "datePublished": None})
    # The terms that a crate of ours uses mean the same since RO-Crate 1.0; the package brings no older context.
    context = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    script = Path(__file__).with_name("with_roc_validator.py")
    crates = [folder / name for name in ("good", "homeless", "good.zip", "broken")]
    found = run(environments, "roc-validator", "python", script, context, folder, *crates)
    return {Path(name).name: said for name, said in json.loads(found.splitlines()[-1]).items()}


@pytest.mark.timeout(900)
class TestValidator:
    def test_nothing_required_or_recommended_is_missing(self, issues):
        assert issues["good"] == []

    def test_an_archive_is_valid_too(self, issues):
        assert issues["good.zip"] == []

    def test_without_an_address_of_the_owner_only_that_is_recommended(self, issues):
        assert len(issues["homeless"]) == 1
        assert issues["homeless"][0].startswith("RECOMMENDED")
        assert "The organization SHOULD have a URL" in issues["homeless"][0]

    @pytest.mark.parametrize("what", ["`name`", "`license`", "`datePublished`", "candidate/model.onnx"])
    def test_it_finds_what_is_broken(self, issues, what):
        assert any(issue.startswith("REQUIRED") and what in issue for issue in issues["broken"]), issues["broken"]
