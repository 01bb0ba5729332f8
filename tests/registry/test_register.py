"""One version for each candidate, however often and by whom it is asked for, and none that must not be published."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import energy, measurement, signing_key, write_data, write_record, write_reports

from tests.registry import faults
from tests.registry.project import (
    KEY,
    NAME,
    acts,
    alias,
    another,
    artifacts,
    candidate,
    flip,
    log,
    opened,
    promote,
    promoted,
    refused,
    register,
    state,
    stored_statement,
    tags,
    use,
    versions,
)
from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.records import Decision, Measurement, ServingEnergy
from wattline.registry import promotion, registration, statements, store, tracking
from wattline.settings import settings

NOTHING = ([], None, None, [])


def test_a_version_says_what_it_is_without_opening_a_file(project: Path):
    found = tags(register())
    assert found["wattline.candidate"] == candidate().digest
    assert found["wattline.data"] == candidate().data
    assert found["wattline.params"] == candidate().params_sha256
    assert found["wattline.commit"] == tracking.commit()
    assert found["wattline.dirty"] == "false"
    assert found["wattline.decision"] == "accepted"
    assert found["wattline.weights"] == candidate().files["weights.safetensors"]
    assert found["wattline.key"] == KEY.public.id
    assert found["wattline.metric.vus_pr"] == "0.53 [0.4, 0.6] over 3 units"
    assert found["wattline.energy_per_1000"] == "12 J [10.8, 13.2] estimated: CPU time x 12.5 W/core"
    assert found["wattline.training_energy"] == "300 J [270, 330] estimated: CPU time x 12.5 W/core"
    assert {name: text for name, text in found.items() if name.startswith("wattline.gate.")} == {
        f"wattline.gate.{gate}": "PASS" for gate in ("integrity", "quality", "champion", "energy")
    }


def test_what_requests_to_the_server_cost_is_a_tag_where_it_was_measured(project: Path):
    path = files.report_path("measure")
    cost = Measurement.from_json(path.read_text())
    served = ServingEnergy(
        per_1000_requests=energy(5.0), per_million_samples=energy(500.0), requests_per_second=1, samples_per_second=1
    )
    files.write_text(path, cost.model_copy(update={"serving": served}).to_json())
    found = tags(register())
    assert found["wattline.energy_per_1000_requests"] == "5 J [4.5, 5.5] estimated: CPU time x 12.5 W/core"
    assert found["wattline.energy_per_million_samples"] == "500 J [450, 550] estimated: CPU time x 12.5 W/core"


def test_a_version_holds_candidate_reports_card_and_what_it_was_made_from(project: Path):
    files.write_text(Path("dvc.lock"), "stages: {}\n")
    folder = artifacts(register())
    assert files.digests(folder / "candidate") == files.digests(files.CANDIDATE)
    assert files.digests(folder / "reports") == files.digests(files.REPORTS)
    assert files.digests(folder / "cards") == files.digests(files.CARDS)
    held = {"dataset.json", "manifest.json", "params.yaml", "dvc.lock", "environment.json"}
    assert set(files.digests(folder / "provenance")) == held
    assert not (project / "mlruns").exists()


def test_it_is_in_the_log_with_who_what_and_the_statement_it_rests_on(project: Path):
    version = register()
    (entry,) = log()
    assert (entry.action, entry.model, entry.version, entry.digest) == ("register", NAME, version, candidate().digest)
    assert entry.evidence == {"statement": files.sha256(stored_statement(version))}
    assert (entry.actor.kind, entry.actor.job) == ("person", None)


def test_a_version_points_to_the_run_of_its_training(project: Path):
    run_id = tracking.log_training(candidate(), params={"a": 1}, curves=[{"loss": 1.0}])
    register()
    with store.session() as client:
        assert client.get_model_version(NAME, "1").run_id == run_id


def test_registering_again_is_the_same_version_and_another_candidate_is_another(project: Path):
    assert [register() for _ in range(3)] == ["1", "1", "1"]
    another(b"other")
    assert register() == "2"
    assert state() == (["1", "2"], None, "2", [("register", "1"), ("register", "2")])


def test_the_same_candidate_measured_again_is_the_same_version_with_its_first_figures(project: Path):
    version = register()
    before = files.digests(artifacts(version))
    cost = measurement(candidate())
    files.write_report("measure", cost.model_copy(update={"machine": "another one"}))
    assert register() == version
    assert files.digests(artifacts(version)) == before
    assert promote() == version


def test_files_that_dvc_made_read_only_are_registered_twice(project: Path):
    for path in files.CANDIDATE.iterdir():
        path.chmod(0o444)
    folder = artifacts(register())
    assert {path.stat().st_mode & 0o200 for path in (folder / "candidate").iterdir()} == {0o200}


def test_sixteen_who_register_three_candidates_at_once_make_three_versions(project: Path):
    assert state() == NOTHING
    for weights in (b"1", b"2", b"3"):
        another(weights)
        for folder in ("models", "reports"):
            shutil.copytree(folder, Path(f"at-{weights.decode()}") / folder)

    def one(weights: str) -> str:
        files.CANDIDATE, files.REPORTS = Path(f"at-{weights}/models/candidate"), Path(f"at-{weights}/reports")
        with opened(wait_seconds=120, lock_seconds=60) as found:
            return registration.register(found, allow_dirty=True)

    crowd = [faults.fork(lambda at=at: one(str(at % 3 + 1)), line="begin") for at in range(16)]
    for process in crowd:
        process.start()
    answers = [process.wait().answer for process in crowd]
    assert sorted(versions()) == ["1", "2", "3"]
    assert {answers[at] for at in range(16)} == {"1", "2", "3"}
    assert all(len({answers[at] for at in range(16) if at % 3 == rest}) == 1 for rest in range(3))
    assert sorted(acts()) == [("register", "1"), ("register", "2"), ("register", "3")]


def killed_before_the_entry() -> None:
    def step(name: str) -> None:
        if name == "ledger insert entry":
            faults.killed_at(0)(name)

    assert faults.fork(register, step).wait().kind == "killed"


def test_what_a_killed_process_left_is_taken_up_with_the_reports_of_today(project: Path):
    files.write_text(files.REPORTS / "profile.json", "{}\n")
    killed_before_the_entry()
    assert (versions(), acts()) == (["1"], [])
    (files.REPORTS / "profile.json").unlink()
    files.write_report("measure", measurement(candidate()).model_copy(update={"machine": "another one"}))
    assert register() == "1"
    assert promote() == "1"
    assert acts() == [("register", "1"), ("promote", "1")]


def test_what_a_killed_process_overrode_is_not_taken_up_by_who_overrides_nothing(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["energy"])

    def overriding() -> str:
        with opened(overridable=("energy",)) as found:
            return registration.register(found, overrides={"energy": "a pilot"})

    seen: list[str] = []

    def step(name: str) -> None:
        seen.append(name)
        if seen.count("ledger insert entry") == 2:
            faults.killed_at(0)(name)

    assert faults.fork(overriding, step).wait().kind == "killed"
    with pytest.raises(RejectedError, match="energy"):
        register()
    write_reports(files.REPORTS, candidate())
    assert register() == "1"
    assert tags("1")["wattline.decision"] == "accepted"
    assert promote() == "1"


@pytest.mark.parametrize("name", ["candidate/model.onnx", "reports/measure.json", "cards/anomaly.md", "statements/1"])
def test_registering_again_repairs_what_was_lost_or_altered_in_the_store(project: Path, name: str):
    version = register()
    path = artifacts(version) / name
    shutil.rmtree(path) if path.is_dir() else flip(path)
    with pytest.raises((IntegrityError, InputError)):
        promote()
    assert register() == version
    assert promote() == version
    assert acts() == [("register", "1"), ("sign", "1"), ("promote", "1")]


def test_a_deleted_version_comes_back_as_another_one_and_the_log_knows_both(project: Path):
    version = register()
    with opened() as found:
        found.client.delete_model_version(NAME, version)
    assert register() == "2"
    assert versions() == ["2"]
    assert promote() == "2"
    with opened() as found:
        assert [entry.action for entry in found.about("1")] == ["register"]
        assert [entry.action for entry in found.about("2")] == ["register", "promote"]


def test_a_model_that_was_deleted_and_made_anew_is_not_taken_for_the_one_in_the_log(project: Path):
    promoted()
    with opened() as found:
        found.client.delete_registered_model(NAME)
    another(b"other")
    register()
    with pytest.raises(InputError, match=r"was moved by hand|another candidate than in the audit log"):
        promote()
    with opened() as found, pytest.raises(InputError, match="another candidate than in the audit log"):
        promotion.recover(found)


def test_a_rejected_candidate_is_refused_with_every_gate_that_said_no_and_the_log_knows(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["quality", "energy"])
    with pytest.raises(RejectedError, match=r"quality \(.*energy \("):
        register()
    assert state() == NOTHING
    (reason,) = refused()
    assert reason.startswith("register: ")
    assert "quality" in reason


def test_a_decision_without_a_verdict_is_no_acceptance(project: Path):
    empty = Decision(candidate=candidate().digest, data=candidate().data, verdicts=())
    files.write_report("decide", empty)
    with pytest.raises(RejectedError):
        register()
    assert state() == NOTHING


@pytest.mark.parametrize("stage", ["decide", "evaluate", "measure"])
def test_a_report_about_another_candidate_is_refused(project: Path, stage: str):
    before = files.report_path(stage).read_bytes()
    another(b"other")
    files.write_bytes(files.report_path(stage), before)
    with pytest.raises(IntegrityError, match=stage):
        register()
    assert state() == NOTHING


def test_a_decision_about_other_data_is_refused(project: Path):
    decision = files.read_report("decide", Decision)
    files.write_report("decide", decision.model_copy(update={"data": "0" * 64}))
    with pytest.raises(IntegrityError, match="data"):
        register()
    assert state() == NOTHING


MISSING = (
    "model_cards/anomaly.md",
    "models/candidate/candidate.json",
    "data/raw/dataset.json",
    "data/prepared/manifest.json",
    "reports/decide.json",
    "reports/evaluate.json",
    "reports/measure.json",
)


@pytest.mark.parametrize("path", MISSING)
def test_a_missing_file_is_named(project: Path, path: str):
    Path(path).unlink()
    with pytest.raises(InputError, match=f"{path} is missing"):
        register()
    assert state() == NOTHING


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors"])
def test_a_tampered_file_is_refused(project: Path, name: str):
    path = files.CANDIDATE / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        register()
    assert state() == NOTHING


def test_a_file_that_is_gone_is_refused_even_when_a_link_is_left(project: Path):
    (files.CANDIDATE / "model.onnx").unlink()
    (files.CANDIDATE / "model.onnx").symlink_to(project / "nowhere")
    with pytest.raises(IntegrityError, match=r"model\.onnx.*missing"):
        register()
    assert state() == NOTHING


@pytest.mark.parametrize("name", ["model.pkl", "model.pkl.gz", "model.joblib", "model", "deep/er.pt", ".hidden.npy"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_pickle_is_refused_whatever_it_is_called_and_recorded_or_not(project: Path, name: str, recorded: bool):
    files.write_bytes(files.CANDIDATE / name, pickle.dumps({"a": 1}))
    if recorded:
        write_reports(files.REPORTS, write_record(files.CANDIDATE))
    with pytest.raises(InputError, match=rf"{Path(name).name}, only .*\.safetensors"):
        register()
    assert versions() == []


def test_an_allowed_file_that_is_not_recorded_is_refused(project: Path):
    files.write_text(files.CANDIDATE / "notes.md", "hello")
    with pytest.raises(IntegrityError, match=r"notes\.md is not recorded"):
        register()
    assert state() == NOTHING


def remove(path: Path) -> None:
    path.unlink()


def of_another_id(path: Path) -> None:
    dataset = write_data(files.RAW, files.PREPARED)
    (files.RAW / "dataset.json").write_text(dataset.model_copy(update={"name": "other"}).to_json())


DATA = [
    ("data/raw/node-01.parquet", flip, r"raw.*SHA-256.*cannot be verified"),
    ("data/raw/node-01.parquet", remove, r"raw.*missing.*cannot be verified"),
    ("data/prepared/node-01.parquet", flip, r"prepared.*SHA-256.*cannot be verified"),
    ("data/prepared/node-01.parquet", remove, r"prepared.*missing.*cannot be verified"),
    ("data/raw/dataset.json", of_another_id, r"dataset\.json is about data .* the candidate was made from"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DATA)
def test_a_candidate_whose_data_cannot_be_verified_is_refused(
    project: Path, name: str, damage: Callable[[Path], None], message: str
):
    damage(Path(name))
    with pytest.raises(IntegrityError, match=message):
        register()
    assert state() == NOTHING


def test_sources_that_differ_from_the_commit_are_refused_unless_that_is_allowed_and_recorded(project: Path):
    files.write_text(project / "src" / "task.py", "changed\n")
    with pytest.raises(InputError, match="differ from the commit"):
        register()
    assert state() == NOTHING
    version = register(allow_dirty=True)
    assert tags(version)["wattline.dirty"] == "true"
    assert [entry.reason for entry in log()] == ["sources were not those of the commit"]


def test_sources_in_no_repository_are_refused_unless_that_is_allowed_and_recorded(project: Path):
    shutil.rmtree(project / ".git")
    with pytest.raises(InputError, match="are in no git repository"):
        register()
    assert state() == NOTHING
    version = register(allow_dirty=True)
    assert tags(version)["wattline.dirty"] == "unknown"


def test_what_the_pipeline_writes_is_no_source(project: Path):
    for path in ("dvc.lock", "reports/extra.json", "model_cards/other.md"):
        files.write_text(Path(path), "{}\n")
    assert tags(register())["wattline.dirty"] == "false"


def test_a_dirty_tree_is_never_allowed_in_ci(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    settings.cache_clear()
    with pytest.raises(InputError, match=r"--allow-dirty is not for CI"):
        register(allow_dirty=True)
    assert state() == NOTHING


def test_an_override_that_is_not_allowed_is_refused(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["energy"])
    with pytest.raises(InputError, match=r"'energy' may not be overridden; registry\.overridable allows none"):
        register(overrides={"energy": "a pilot"})
    assert state() == NOTHING


@pytest.mark.parametrize(
    ("overrides", "message"),
    [({"energy": " "}, "no reason"), ({"nonsense": "why not"}, r"no verdict of a gate 'nonsense'.*energy")],
)
def test_an_override_without_reason_or_gate_is_refused(project: Path, overrides: dict[str, str], message: str):
    with opened(overridable=("energy", "nonsense")) as found, pytest.raises(InputError, match=message):
        registration.register(found, overrides=overrides)
    assert state() == NOTHING


def test_an_override_counts_for_its_gate_alone(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["energy", "quality"])
    with opened(overridable=("energy",)) as found, pytest.raises(RejectedError, match="rejected by quality"):
        registration.register(found, overrides={"energy": "a pilot"})
    assert state() == NOTHING


def test_an_override_is_recorded_and_lets_the_version_be_promoted(project: Path):
    write_reports(files.REPORTS, candidate(), failed=["energy"])
    with opened(overridable=("energy", "quality")) as found:
        registration.register(found, overrides={"energy": "a pilot", "quality": "not needed"})
    assert tags("1")["wattline.decision"] == "overridden"
    assert promote() == "1"
    assert acts() == [("override", "1"), ("register", "1"), ("promote", "1")]
    assert log()[0].reason == "energy: a pilot"


def no_key(path: Path) -> None:
    shutil.rmtree(path.parent)


def readable_by_all(path: Path) -> None:
    path.chmod(0o644)


def encrypted(path: Path) -> None:
    path.write_bytes(KEY.pem("secret"))


def untrusted(path: Path) -> None:
    use(signing_key(1))


KEYS = [
    (no_key, "wattline keys new"),
    (readable_by_all, "chmod 600"),
    (encrypted, r"is encrypted; set WATTLINE_SIGNING_PASSPHRASE"),
    (untrusted, r"is none of serving\.model\.trusted_keys"),
]


@pytest.mark.parametrize(("damage", "message"), KEYS)
def test_without_a_key_that_is_kept_and_trusted_nothing_is_done(
    project: Path, damage: Callable[[Path], None], message: str
):
    path = Path(".wattline/keys/private.pem")
    version = register()
    damage(path)
    another(b"other")
    for act in (register, promote, lambda: promote(version)):
        with pytest.raises(InputError, match=message):
            act()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(KEY.pem(None))
    path.chmod(0o600)
    assert state() == ([version], None, version, [("register", version)])


def test_the_energy_of_training_is_a_tag_only_where_there_is_one(project: Path):
    cost = measurement(candidate())
    files.write_report("measure", cost.model_copy(update={"training_energy": None}))
    assert "wattline.training_energy" not in tags(register())


def test_the_same_candidate_under_two_names_has_two_versions_and_statements(project: Path):
    register()
    with opened(name="other") as found:
        assert registration.register(found) == "1"
        runs = {one.run_id for one in found.client.search_model_versions()}
    assert len(runs) == 2
    assert alias("challenger") == "1"
    assert [entry.model for entry in log()] == [NAME, "other"]
    assert statements.place("1") == "statements/1/statement.dsse.json"
