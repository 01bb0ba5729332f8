"""decide: every byte and every report is held against its record, and whatever is amiss rejects the candidate."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gates.samples import SESSION, UP, contender, energy_test, joules, performance

from wattline import files, params
from wattline.energy.paired.figures import per_1000
from wattline.params import DecideParams, GatesParams
from wattline.records import (
    Axis,
    Candidate,
    Champion,
    Column,
    Dataset,
    Decision,
    Earlier,
    EarlierVersion,
    Evaluation,
    Finding,
    Manifest,
    Measurement,
    Score,
    Slice,
    UnitRows,
    Validation,
)
from wattline.stages import decide

LIMITS = GatesParams.model_validate(
    {
        "data": {"minimum_rows": 10, "minimum_units": 1, "maximum_warnings": 0},
        "quality": {"metric": "vus_pr", "limit": 0.25, "margin_over_baselines": 0.1},
        "champion": {"tolerance": 0.05},
        "slices": {"limit": 0.25, "minimum_rows": 10},
        "robustness": {"maximum_loss": 0.5},
        "latency": {"p99_ms": 10.0, "throughput_per_second": 100.0},
        "energy": {
            "margin": 0.1,
            "alpha": 0.05,
            "power": 0.9,
            "budget_joules": 10.0,
            "training_budget_kwh": 1.0,
            "evidence": "estimated",
        },
    }
)
MEASURE = params.load(Path(__file__).parents[2] / "params.yaml").block.measure.model_copy(update={"session": SESSION})
COLUMN = Column(name="power_watts", unit="W")
POINT = Score(value=0.5, low=0.5, high=0.5, units=2)
PROMOTED = b"the champion's graph"


def put(path: Path, content: bytes) -> str:
    """Write a file and return its digest."""
    files.write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a record behind everybody's back."""
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def unit(name: str, digest: str) -> UnitRows:
    day = datetime(2025, 1, 1, tzinfo=UTC)
    return UnitRows(name=name, group="rack0", rows=50, start=day, end=day, sha256=digest)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project after `measure`, in which everything is as it should be."""
    monkeypatch.chdir(tmp_path)
    dataset = Dataset(
        name="sample",
        source="simulator",
        home="generated",
        licence="CC0-1.0",
        citation="none",
        cadence_seconds=60,
        columns=(COLUMN,),
        units=tuple(unit(name, put(files.RAW / f"{name}.parquet", name.encode())) for name in ("n0", "n1")),
        labelled=True,
    )
    files.write_text(files.RAW / "dataset.json", dataset.to_json())
    manifest = Manifest(
        data=dataset.id,
        dataset="sample",
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=(COLUMN,),
        parts=(),
        files={"test/n0.parquet": put(files.PREPARED / "test/n0.parquet", b"prepared")},
    )
    files.write_text(files.PREPARED / "manifest.json", manifest.to_json())
    candidate = model(files.CANDIDATE, b"the candidate's graph", dataset)
    write_reports(candidate, dataset)
    return dataset


def model(folder: Path, content: bytes, dataset: Dataset) -> Candidate:
    """Write a model folder as `train` does."""
    candidate = Candidate(
        task="project",
        model="ridge",
        files={"model.onnx": put(folder / "model.onnx", content)},
        data=dataset.id,
        dataset="sample",
        params_sha256="ef" * 32,
        parameters=10,
        parity_max_abs=0.0,
        parity_windows=1,
    )
    files.write_text(folder / "candidate.json", candidate.to_json())
    return candidate


def write_reports(candidate: Candidate, dataset: Dataset) -> None:
    files.write_report("validate", Validation(data=dataset.id, rows=100, units=2, expectations=3))
    evaluation = Evaluation(
        candidate=candidate.digest,
        champion=Champion(),
        data=dataset.id,
        rows=20,
        rows_sha256="34" * 32,
        headline=UP,
        contenders={"candidate": {"vus_pr": POINT}, "ridge": {"vus_pr": POINT.model_copy(update={"value": 0.25})}},
        slices=(Slice(kind="group", name="rack0", rows=20, scores={"vus_pr": 0.5}),),
        robustness={"noise": POINT},
    )
    files.write_report("evaluate", evaluation)
    test = energy_test(None, contenders=(contender(digest=candidate.digest),))
    alone = performance(candidate.digest, per_1000(test, "candidate"))
    training = joules(1, 0.5, 2)
    files.write_report("measure", Measurement(candidate=alone, machine="sample", training_energy=training, test=test))


@pytest.fixture
def promoted(project):
    """The same project with a champion, whose files lie in champion/ and which was evaluated."""
    digest = model(files.CHAMPION, PROMOTED, project).digest
    champion = Champion(version="3", digest=digest)
    files.write_text(files.CHAMPION / "champion.json", champion.to_json())

    def compared(tree):
        tree["champion"] = {"version": "3", "digest": digest}
        tree["versus_champion"] = {"vus_pr": POINT.model_dump()}

    edit(files.report_path("evaluate"), compared)
    write_test(0.75, digest)


def write_test(ratio: float, champion: str) -> None:
    """A measurement in which the candidate was tested against `champion`, and takes `ratio` of its energy."""
    found = files.read_report("measure", Measurement)
    contenders = contender(digest=found.candidate.digest), contender("baseline", digest=champion)
    test = energy_test(ratio, contenders=contenders)
    measured = {
        "candidate": performance(found.candidate.digest, per_1000(test, "candidate")),
        "champion": performance(champion, per_1000(test, "baseline")),
        "test": test,
    }
    files.write_report("measure", found.model_copy(update=measured))


def scale(tree: Any, factor: float) -> None:
    """Every reading of the energy test is `factor` of what it was."""
    for block in tree["test"]["blocks"]:
        for sample in block["samples"]:
            sample.update({name: sample[name] * factor for name in ("joules", "low", "high")})


def decided(**changes: Any) -> Decision:
    """Run the stage and read what it wrote."""
    decide.run(gates=LIMITS, decide=DecideParams(**changes), measure=MEASURE)
    return files.read_report("decide", Decision)


def outcomes(decision: Decision) -> dict[str, str]:
    return {verdict.name: verdict.outcome for verdict in decision.verdicts if verdict.outcome != "PASS"}


def reason(decision: Decision, gate: str) -> str:
    return next(verdict.reason for verdict in decision.verdicts if verdict.name == gate)


def test_a_candidate_in_order_is_accepted(project):
    decision = decided()
    assert outcomes(decision) == {}
    assert decision.accepted
    assert decision.data == project.id
    assert decision.candidate == files.read_record(decide.CANDIDATE, Candidate).digest


def test_a_candidate_that_was_compared_with_the_champion_is_accepted(promoted):
    assert outcomes(decided()) == {}


def test_the_decision_is_the_same_bytes_each_time(project):
    decided()
    first = files.report_path("decide").read_bytes()
    decided()
    assert files.report_path("decide").read_bytes() == first


def test_an_empty_folder_is_rejected_by_every_gate_and_nothing_crashes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    decision = decided()
    assert not decision.accepted
    assert set(outcomes(decision).values()) == {"FAIL"}
    assert len(outcomes(decision)) == 8


@pytest.mark.parametrize(
    "path",
    [
        "data/raw/n0.parquet",
        "data/raw/n1.parquet",
        "data/prepared/test/n0.parquet",
        "models/candidate/model.onnx",
        "champion/model.onnx",
    ],
)
class TestBytes:
    """Files that stages read or that would be deployed."""

    def test_one_changed_byte_rejects_and_is_named(self, promoted, path):
        content = bytearray(Path(path).read_bytes())
        content[0] ^= 1
        Path(path).write_bytes(content)
        decision = decided()
        assert outcomes(decision) == {"integrity": "FAIL"}
        assert f"first {path}: expected" in reason(decision, "integrity")

    def test_a_missing_file_rejects_and_is_named(self, promoted, path):
        Path(path).unlink()
        decision = decided()
        assert outcomes(decision) == {"integrity": "FAIL"}
        assert f"first {path}: expected" in reason(decision, "integrity")
        assert "found nothing" in reason(decision, "integrity")

    def test_a_folder_in_its_place_rejects(self, promoted, path):
        Path(path).unlink()
        Path(path).mkdir()
        assert outcomes(decided()) == {"integrity": "FAIL"}


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b"[1, 2", b'{"unknown": 1}'])
@pytest.mark.parametrize(
    ("path", "gates"),
    [
        ("data/raw/dataset.json", {"data", "quality", "champion", "slices", "robustness", "energy"}),
        ("data/prepared/manifest.json", set()),
        (
            "models/candidate/candidate.json",
            {"quality", "champion", "slices", "robustness", "latency", "energy"},
        ),
        ("reports/validate.json", {"data"}),
        ("reports/evaluate.json", {"quality", "champion", "slices", "robustness", "energy"}),
        ("reports/measure.json", {"latency", "energy"}),
    ],
)
def test_a_record_that_is_absent_or_unreadable_fails_what_rests_on_it(project, path, gates, content):
    if content is None:
        Path(path).unlink()
    else:
        Path(path).write_bytes(content)
    assert outcomes(decided()) == dict.fromkeys({"integrity", *gates}, "FAIL")


def test_a_record_of_no_files_proves_nothing(project):
    edit(Path("data/prepared/manifest.json"), lambda tree: tree.update(files={}))
    decision = decided()
    assert outcomes(decision) == {"integrity": "FAIL"}
    assert "first data/prepared: nothing is recorded" in reason(decision, "integrity")


def test_a_partition_without_a_recorded_digest_proves_nothing(project):
    """Equal emptiness is no equality, and the dataset has another id by then."""
    Path("data/raw/n0.parquet").unlink()
    edit(Path("data/raw/dataset.json"), lambda tree: tree["units"][0].update(sha256=""))
    decision = decided()
    assert "integrity" in outcomes(decision)
    assert "first data/raw/n0.parquet: nothing is recorded" in reason(decision, "integrity")


@pytest.mark.parametrize("path", ["data/prepared/manifest.json", "models/candidate/candidate.json"])
def test_what_was_made_from_other_rows_rejects(project, path):
    edit(Path(path), lambda tree: tree.update(data="f" * 64))
    decision = decided()
    assert outcomes(decision) == {"integrity": "FAIL"}
    assert f"first dataset of {path}: expected {project.id[:12]}, found ffffffffffff" in reason(decision, "integrity")


@pytest.mark.parametrize(
    ("stage", "change", "gates"),
    [
        ("validate", {"data": "f" * 64}, {"data"}),
        ("evaluate", {"data": "f" * 64}, {"quality", "champion", "slices", "robustness", "energy"}),
        ("evaluate", {"candidate": "f" * 64}, {"quality", "champion", "slices", "robustness", "energy"}),
    ],
)
def test_a_report_about_something_else_rejects_twice(project, stage, change, gates):
    edit(files.report_path(stage), lambda tree: tree.update(change))
    assert outcomes(decided()) == dict.fromkeys({"integrity", *gates}, "FAIL")


def test_a_measurement_of_another_candidate_rejects(project):
    edit(files.report_path("measure"), lambda tree: tree["candidate"].update(digest="f" * 64))
    assert outcomes(decided()) == dict.fromkeys(("integrity", "latency", "energy"), "FAIL")


def test_a_model_that_was_trained_again_needs_new_reports(project):
    model(files.CANDIDATE, b"another graph", project)
    assert set(outcomes(decided())) >= {"integrity", "quality", "champion", "latency", "energy"}


def test_a_champion_promoted_after_the_evaluation_rejects(project):
    digest = model(files.CHAMPION, PROMOTED, project).digest
    files.write_text(files.CHAMPION / "champion.json", Champion(version="3", digest=digest).to_json())
    decision = decided()
    assert outcomes(decision) == {"integrity": "FAIL"}
    assert f"expected {digest[:12]}, found no champion;" in reason(decision, "integrity")


def test_a_champion_rolled_back_after_the_evaluation_rejects(promoted):
    files.write_text(files.CHAMPION / "champion.json", Champion().to_json())
    assert outcomes(decided()) == {"integrity": "FAIL"}


@pytest.mark.parametrize(("field", "gates"), [("version", {"integrity"}), ("digest", {"integrity", "energy"})])
def test_a_champion_recorded_with_another_version_or_digest_rejects(promoted, field, gates):
    edit(files.report_path("evaluate"), lambda tree: tree["champion"].update({field: "another"}))
    assert outcomes(decided()) == dict.fromkeys(gates, "FAIL")


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 3}'])
def test_an_unreadable_champion_is_not_its_absence(project, content):
    (files.CHAMPION).mkdir()
    (files.CHAMPION / "champion.json").write_bytes(content)
    decision = decided()
    assert outcomes(decision) == {"integrity": "FAIL"}
    assert "nothing is recorded" in reason(decision, "integrity")


def test_a_champion_whose_files_are_another_models_rejects(promoted, project):
    model(files.CHAMPION, b"a weak opponent", project)
    decision = decided()
    assert outcomes(decision) == {"integrity": "FAIL"}
    assert "digest of champion/candidate.json" in reason(decision, "integrity")


def test_a_champion_without_files_rejects(promoted):
    (files.CHAMPION / "candidate.json").unlink()
    assert outcomes(decided()) == {"integrity": "FAIL"}


def test_advice_does_not_reject_but_is_kept(project):
    finding = Finding(rule="expect_nothing", column="power_watts", severity="critical", count=1, share=0.1)
    edit(files.report_path("validate"), lambda tree: tree.update(findings=[finding.model_dump()]))
    assert not decided().accepted
    decision = decided(advisory=("data",))
    assert decision.accepted
    assert outcomes(decision) == {"data": "FAIL"}


def test_an_undefined_figure_survives_the_report_as_undefined_and_fails(project):
    edit(files.report_path("evaluate"), lambda tree: tree["contenders"]["candidate"]["vus_pr"].update(low=None))
    assert outcomes(decided()) == dict.fromkeys(("quality", "robustness"), "FAIL")


def test_energy_that_nothing_counted_is_refused_and_rejects(project):
    edit(files.report_path("measure"), lambda tree: scale(tree, 0.0))
    decision = decided()
    assert outcomes(decision) == {"energy": "REFUSE"}
    assert not decision.accepted


def test_a_candidate_that_takes_more_than_the_champion_is_rejected(promoted):
    champion = files.read_record(decide.CHAMPION, Champion)
    assert champion.digest is not None
    write_test(1.5, champion.digest)
    decision = decided()
    assert outcomes(decision) == {"energy": "FAIL"}
    assert not decision.accepted
    assert decision.energy is not None
    assert decision.energy.test is not None
    assert decision.energy.test.outcome == "FAIL"
    assert (decision.energy.champion, decision.energy.margin) == ("3", 0.1)


def test_a_champion_that_energy_was_not_tested_against_rejects(promoted):
    """Whoever leaves the champion out of the measurement does not get round it."""
    edit(files.report_path("measure"), lambda tree: tree.update(champion=None, test=None))
    assert outcomes(decided()) == {"energy": "FAIL"}


@pytest.mark.parametrize(("factor", "outcome"), [(0.5, "REFUSE"), (2.0, "FAIL")])
def test_samples_that_were_edited_do_not_fit_their_figures(promoted, factor, outcome):
    edit(files.report_path("measure"), lambda tree: scale(tree, factor))
    assert outcomes(decided()) == {"energy": outcome}


def write_earlier(**changes: Any) -> None:
    good = {
        "version": "2",
        "digest": "55" * 32,
        "metric": "vus_pr",
        "score": 0.75,
        "rows_sha256": "34" * 32,
        "energy_per_1000": files.read_report("measure", Measurement).candidate.energy_per_1000,
        "batch": 256,
        "machine": "sample",
    }
    earlier = Earlier(model="anomaly", versions=(EarlierVersion.model_validate(good | changes),))
    files.write_text(decide.EARLIER, earlier.to_json())


def test_the_candidate_is_set_beside_earlier_versions_which_decide_nothing(project):
    write_earlier()
    decision = decided()
    assert decision.accepted
    assert "not on the Pareto front of 2 models: version 2 has vus_pr 0.75" in reason(decision, "energy")
    assert decision.energy is not None
    assert decision.energy.pareto is not None
    assert [point.name for point in decision.energy.pareto.points] == ["candidate", "version 2"]
    assert (files.REPORTS / "decide" / "pareto.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"versions": 3}'])
def test_unreadable_figures_of_earlier_versions_reject_nobody(project, content):
    files.write_bytes(decide.EARLIER, content)
    assert decided().accepted


def test_a_decision_of_an_earlier_release_can_be_read(project):
    decided()
    edit(files.report_path("decide"), lambda tree: tree.pop("energy"))
    assert files.read_report("decide", Decision).energy is None
