"""One version for each candidate, none for a rejected or altered one, and the same bytes come back out."""

import json
import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from builders import measurement, write_candidate, write_record, write_reports

from tests.registry.project import another, fetch, promote, register
from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError, WattlineError
from wattline.records import Candidate, Champion, Decision
from wattline.registry import store, tracking

NAME = "anomaly"


def candidate() -> Candidate:
    return files.read_record(files.CANDIDATE / "candidate.json", Candidate)


def another(weights: bytes) -> Candidate:
    shutil.rmtree(files.CANDIDATE)
    written = write_candidate(files.CANDIDATE, weights=weights)
    write_reports(files.REPORTS, written)
    return written


def all_versions() -> list[str]:
    with store.session() as client:
        return sorted(str(one.version) for one in client.search_model_versions(f"name = '{NAME}'"))


def aliases() -> dict[str, str]:
    with store.session() as client:
        return {name: str(version) for name, version in client.get_registered_model(NAME).aliases.items()}


def artifacts(version: str) -> Path:
    with store.session() as client:
        run = client.get_run(client.get_model_version(NAME, version).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://"))


def wait_for_others(others: Barrier) -> None:
    """Bring a process up to the call under test, then hold it until all are there."""
    with store.session() as client:
        client.search_registered_models()
    others.wait()


def register_as_one(_: int) -> str:
    return register()


def test_a_version_says_what_it_is_without_opening_a_file(project: Path):
    version = register()
    with store.session() as client:
        tags = client.get_model_version_by_alias(NAME, "challenger").tags
    assert version == "1"
    assert tags["wattline.candidate"] == candidate().digest
    assert tags["wattline.data"] == candidate().data
    assert tags["wattline.commit"]
    assert tags["wattline.decision"] == "accepted"
    assert tags["wattline.metric.vus_pr"] == "0.53 [0.4, 0.6] over 3 units"
    assert tags["wattline.energy_per_1000"] == "12 J [10.8, 13.2] estimated: CPU time x 12.5 W/core"


def test_a_version_holds_candidate_reports_and_card(project: Path):
    folder = artifacts(register())
    assert files.digests(folder / "candidate") == files.digests(files.CANDIDATE)
    assert files.digests(folder / "reports") == files.digests(files.REPORTS)
    assert files.digests(folder / "cards") == files.digests(files.CARDS)
    assert not (project / "mlruns").exists()


def test_a_version_points_to_the_run_of_its_training(project: Path):
    run_id = tracking.log_training(candidate(), params={"a": 1}, curves=[{"loss": 1.0}])
    register()
    with store.session() as client:
        assert client.get_model_version(NAME, "1").run_id == run_id


def test_registering_again_is_the_same_version_and_another_candidate_is_another(project: Path):
    assert [register() for _ in range(3)] == ["1", "1", "1"]
    another(b"other")
    assert register() == "2"
    assert all_versions() == ["1", "2"]
    assert aliases() == {"challenger": "2"}


def test_files_that_dvc_made_read_only_are_registered_twice(project: Path):
    for path in files.CANDIDATE.iterdir():
        path.chmod(0o444)
    folder = artifacts(register())
    assert {path.stat().st_mode & 0o200 for path in (folder / "candidate").iterdir()} == {0o200}


def test_eight_who_register_at_once_get_one_version(project: Path):
    assert all_versions() == []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "wattline.registry.registration"])  # once, and not eight times
    with ProcessPoolExecutor(8, context, initializer=wait_for_others, initargs=(context.Barrier(8),)) as pool:
        found = list(pool.map(register_as_one, range(8)))
    assert set(found) == {"1"}
    assert all_versions() == ["1"]


def test_of_two_machines_that_register_at_once_the_later_gives_way(project: Path, monkeypatch: pytest.MonkeyPatch):
    register()
    find, asked = versions._find, []

    def blind_at_first(*arguments: Any) -> str | None:
        asked.append(arguments)
        return None if len(asked) == 1 else find(*arguments)

    monkeypatch.setattr(versions, "_find", blind_at_first)
    assert register() == "1"
    assert all_versions() == ["1"]


def test_a_rejected_candidate_is_refused_with_every_gate_that_said_no(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["quality", "energy"])
    with pytest.raises(RejectedError, match=r"quality \(.*energy \("):
        register()
    assert all_versions() == []


def test_a_decision_without_a_verdict_is_no_acceptance(project: Path):
    empty = Decision(candidate=candidate().digest, data=candidate().data, verdicts=())
    files.write_report("decide", empty)
    with pytest.raises(RejectedError):
        register()


@pytest.mark.parametrize("stage", ["decide", "evaluate", "measure"])
def test_a_report_about_another_candidate_is_refused(project: Path, stage: str):
    before = files.report_path(stage).read_bytes()
    another(b"other")
    files.write_bytes(files.report_path(stage), before)
    with pytest.raises(IntegrityError, match=stage):
        register()


def test_a_decision_about_other_data_is_refused(project: Path):
    decision = files.read_report("decide", Decision)
    files.write_report("decide", decision.model_copy(update={"data": "0" * 64}))
    with pytest.raises(IntegrityError, match="data"):
        register()


@pytest.mark.parametrize("stage", ["decide", "evaluate", "measure"])
def test_a_missing_report_is_named(project: Path, stage: str):
    files.report_path(stage).unlink()
    with pytest.raises(InputError, match=f"{stage}.json is missing"):
        register()


@pytest.mark.parametrize("path", ["model_cards/anomaly.md", "models/candidate/candidate.json"])
def test_a_missing_file_is_named(project: Path, path: str):
    Path(path).unlink()
    with pytest.raises(InputError, match=f"{path} is missing"):
        register()


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors"])
def test_a_tampered_file_is_refused(project: Path, name: str):
    path = files.CANDIDATE / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        register()
    assert all_versions() == []


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors"])
def test_a_file_that_is_gone_is_refused_even_when_a_link_is_left(project: Path, name: str):
    (files.CANDIDATE / name).unlink()
    (files.CANDIDATE / name).symlink_to(project / "nowhere")
    with pytest.raises(IntegrityError, match=f"{name}.*missing"):
        register()


@pytest.mark.parametrize("name", ["model.pkl", "model.pkl.gz", "model.joblib", "model", "deep/er.pt", ".hidden.npy"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_pickle_is_refused_whatever_it_is_called_and_recorded_or_not(project: Path, name: str, recorded: bool):
    files.write_bytes(files.CANDIDATE / name, pickle.dumps({"a": 1}))
    if recorded:
        write_reports(files.REPORTS, write_record(files.CANDIDATE))
    with pytest.raises(InputError, match=r"\.safetensors"):
        register()


def test_an_allowed_file_that_is_not_recorded_is_refused(project: Path):
    files.write_text(files.CANDIDATE / "notes.md", "hello")
    with pytest.raises(IntegrityError, match=r"notes\.md is not recorded"):
        register()


def test_a_promoted_version_comes_back_byte_by_byte(project: Path):
    files.write_text(files.CHAMPION / ".gitignore", "*\n!.gitignore\n")
    files.write_text(files.CHAMPION / "stale.onnx", "old")
    version = register()
    assert promote() == version
    found = fetch()
    assert found == Champion(version=version, digest=candidate().digest, name=NAME)
    fetched = files.digests(files.CHAMPION)
    assert Champion.from_json((files.CHAMPION / "champion.json").read_bytes()) == found
    del fetched["champion.json"], fetched["statement.dsse.json"]
    assert fetched == files.digests(files.CANDIDATE)
    assert (files.CHAMPION / ".gitignore").read_text() == "*\n!.gitignore\n"


def test_fetching_twice_gives_the_same_folder(project: Path):
    register()
    promote()
    fetch()
    first = files.digests(files.CHAMPION)
    fetch()
    assert files.digests(files.CHAMPION) == first


@pytest.mark.parametrize("fresh", [True, False])
def test_without_a_champion_the_folder_says_so_and_keeps_nothing_stale(project: Path, fresh: bool):
    if fresh:
        (project / ".wattline" / "mlflow.db").unlink()
    else:
        register()
    files.write_text(files.CHAMPION / "model.onnx", "old")
    assert fetch() == Champion()
    assert json.loads((files.CHAMPION / "champion.json").read_text()) == {"version": None, "digest": None}
    assert sorted(files.digests(files.CHAMPION)) == ["champion.json"]


def test_a_promotion_remembers_the_champion_before_it(project: Path):
    register()
    promote()
    another(b"other")
    register()
    promote()
    promote()
    with store.session() as client:
        previous = {v.version: v.tags["wattline.previous"] for v in client.search_model_versions(f"name = '{NAME}'")}
    assert {str(version): former for version, former in previous.items()} == {"1": "none", "2": "1"}
    assert aliases() == {"challenger": "2", "champion": "2"}


def test_a_version_can_be_promoted_by_number(project: Path):
    register()
    another(b"other")
    register()
    assert promote("1") == "1"
    assert aliases()["champion"] == "1"


@pytest.mark.parametrize("version", ["7", "latest", "-1", ""])
def test_a_version_that_does_not_exist_is_refused(project: Path, version: str):
    register()
    with pytest.raises(InputError, match="no version"):
        promote(version)


def test_there_is_nothing_to_promote_before_anything_was_registered(project: Path):
    with pytest.raises(InputError, match="no challenger"):
        promote()
    with pytest.raises(InputError, match="no version"):
        promote("1")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swap_record(path: Path) -> None:
    (path.parent / "weights.safetensors").write_bytes(b"swapped")
    write_record(path.parent)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("candidate/model.onnx", flip),
        ("candidate/weights.safetensors", flip),
        ("candidate/weights.safetensors", Path.unlink),
        ("candidate/candidate.json", Path.unlink),
        ("candidate/candidate.json", swap_record),
        ("candidate", shutil.rmtree),
        ("candidate/extra.md", lambda path: path.write_text("hello")),
    ],
)
def test_what_was_altered_in_the_store_is_neither_promoted_nor_fetched(
    project: Path, name: str, damage: Callable[[Path], object]
):
    version = register()
    promote()
    fetch()
    before = files.digests(files.CHAMPION)
    damage(artifacts(version) / name)
    with pytest.raises(WattlineError):
        promote()
    with pytest.raises(WattlineError):
        fetch()
    assert files.digests(files.CHAMPION) == before


def test_a_version_whose_decision_was_altered_is_not_promoted(project: Path):
    version = register()
    other = write_candidate(project / "other", weights=b"other")
    stored = artifacts(version) / "reports"
    write_reports(stored, candidate(), failed=["energy"])
    with pytest.raises(RejectedError):
        promote()
    write_reports(stored, other)
    with pytest.raises(IntegrityError, match="decide"):
        promote()
    write_reports(stored, candidate())
    with store.session() as client:
        client.set_model_version_tag(NAME, version, "wattline.decision", "rejected")
    with pytest.raises(RejectedError):
        promote()
    assert "champion" not in aliases()


def test_an_unreachable_server_changes_nothing(unreachable: Path):
    files.write_text(files.CHAMPION / "model.onnx", "old")
    for act in (
        lambda: fetch(),
        lambda: register(),
        lambda: promote(),
    ):
        with pytest.raises(WattlineError, match="MLFLOW_TRACKING_URI"):
            act()
    assert sorted(files.digests(files.CHAMPION)) == ["model.onnx"]
    assert [path.name for path in unreachable.iterdir() if path.name.startswith("wattline-")] == []


def test_the_energy_of_training_is_a_tag_only_where_there_is_one(project: Path):
    cost = measurement(candidate())
    files.write_report("measure", cost.model_copy(update={"training_energy": None}))
    register()
    with store.session() as client:
        assert "wattline.training_energy" not in client.get_model_version(NAME, "1").tags
