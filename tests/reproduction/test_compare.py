"""Outputs beside the registered ones: what differs is found, named and measured; what was not compared is said."""

import json
import shutil

import pytest
from builders import write_candidate

from reproduction import tiny
from wattline import objects
from wattline.errors import InputError, IntegrityError
from wattline.objects import Cache
from wattline.records import Champion
from wattline.reproduction import champion, compare, report
from wattline.reproduction.compare import Reproduced
from wattline.reproduction.originals import Originals, arranged
from wattline.reproduction.pipeline import Output, Stage
from wattline.reproduction.result import Result, all_identical, first_difference

EVALUATION = {
    "champion": {"version": "1"},
    "contenders": {"candidate": {"f1": 0.5}, "champion": {"f1": 0.4}},
    "versus_champion": {"f1": 0.1},
}


@pytest.fixture
def stages(project):
    """Two stages whose outputs lie in `project`, of which one reads the champion."""

    def output(path, *, measured=False):
        return Output(path=path, md5=objects.digest(project / path), measured=measured)

    (project / "reports/evaluate.json").write_text(json.dumps(EVALUATION))
    (project / "reports/evaluate").mkdir()
    (project / "reports/evaluate/slices.png").write_bytes(b"picture")
    train = (output("models/candidate"), output("reports/train_energy.json", measured=True))
    evaluate = (output("reports/evaluate.json"), output("reports/evaluate"))
    return (
        Stage(name="train", dependencies=("data/raw",), outputs=train),
        Stage(name="evaluate", dependencies=("champion", "models/candidate"), outputs=evaluate),
    )


@pytest.fixture
def made(project, tmp_path, stages):
    """The same outputs in another folder, and a project that still has the registered ones."""
    root = tmp_path / "worktree"
    for path in ("models", "reports"):
        shutil.copytree(project / path, root / path)
    originals = Originals(Cache(tmp_path / "no-cache"), (project,))
    return Reproduced(root, tiny.recipe(project), originals, "none")


def outcomes(stages, made):
    return {one.path: one.outcome for one in compare.outputs(stages, made)}


def test_equal_outputs_are_identical(stages, made):
    found = compare.outputs(stages, made)
    assert {one.outcome for one in found} == {"identical"}
    assert all_identical(found)
    assert first_difference(found) is None


def test_nothing_compared_is_not_identical():
    assert not all_identical(())


def test_a_measurement_that_differs_is_told_with_both_figures_and_does_not_count(stages, made):
    (made.root / "reports/train_energy.json").write_text('{"joules": 1.5}')
    found = compare.outputs(stages, made)
    assert all_identical(found)
    (measured,) = (one for one in found if one.outcome == "measured")
    assert measured.path == "reports/train_energy.json"
    assert measured.details[0].startswith("joules is 1.5, registered was ")


def test_a_measurement_that_is_not_there_differs(stages, made):
    (made.root / "reports/train_energy.json").unlink()
    (first, *_) = [one for one in compare.outputs(stages, made) if one.outcome == "different"]
    assert (first.path, first.found, first.details) == ("reports/train_energy.json", "", ("it was not written",))


def test_the_first_stage_that_differs_is_looked_into_and_later_ones_are_named(stages, made):
    weights = made.root / "models/candidate/weights.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1  # the sign and the exponent of the last number
    weights.write_bytes(changed)
    (made.root / "reports/evaluate.json").write_text("{}")
    found = compare.outputs(stages, made)
    assert first_difference(found) == "train"
    details = {one.path: one.details for one in found if one.outcome == "different"}
    (said,) = details.pop("models/candidate")
    assert said.startswith("weights.safetensors: 1 of 1 tensors differ: largest absolute difference ")
    assert details == {"reports/evaluate.json": ()}


def test_files_too_few_and_too_many_are_named(stages, made):
    (made.root / "models/candidate/weights.safetensors").rename(made.root / "models/candidate/other.bin")
    (found, *_) = compare.outputs(stages, made)
    assert found.details == ("other.bin: was not there", "weights.safetensors: absent")


def test_registered_bytes_that_are_gone_are_said_to_be_gone(stages, made, project):
    for root in (made.root, project):
        (root / "models/candidate/weights.safetensors").write_bytes(b"something else")
    (found, *_) = compare.outputs(stages, made)
    assert (found.outcome, found.details) == ("different", (compare.GONE,))


def test_registered_bytes_are_found_in_the_evidence_of_the_registry(stages, made, project, tmp_path):
    evidence = tmp_path / "evidence"
    (project / "models/candidate").rename(evidence.parent / "candidate")
    evidence.mkdir()
    (evidence.parent / "candidate").rename(evidence / "candidate")
    (project / "reports").rename(evidence / "reports")
    originals = Originals(Cache(tmp_path / "no-cache"), (project, arranged(evidence, tmp_path / "arranged")))
    (made.root / "models/candidate/weights.safetensors").write_bytes(b"x")
    (found, *_) = compare.outputs(stages, Reproduced(made.root, made.recipe, originals, "none"))
    assert any(detail.startswith("weights.safetensors: ") for detail in found.details)


def test_a_lock_that_agrees_does_not_hide_a_candidate_that_does_not(stages, made):
    candidate = made.recipe.candidate.model_copy(update={"files": {"weights.safetensors": "0" * 64}})
    recipe = made.recipe.model_copy(update={"candidate": candidate})
    (found, *_) = compare.outputs(stages, Reproduced(made.root, recipe, made.originals, "none"))
    assert found.outcome == "different"
    assert found.details[0].startswith("models/candidate/weights.safetensors has SHA-256 ")


class TestWithoutChampion:
    """The champion's files were not given: what depends on them is not said to be equal, nor to differ."""

    @pytest.fixture
    def alone(self, made):
        (made.root / "reports/evaluate.json").write_text(
            json.dumps({"champion": {"version": None}, "contenders": {"candidate": {"f1": 0.5}}, "versus_champion": {}})
        )
        (made.root / "reports/evaluate/slices.png").write_bytes(b"other")
        return Reproduced(made.root, made.recipe, made.originals, "files not given")

    def test_what_rests_on_it_is_not_compared_and_the_version_not_identical(self, stages, alone):
        found = compare.outputs(stages, alone)
        assert [one.outcome for one in found] == ["identical", "identical", "not compared", "not compared"]
        assert "equal in all but what it says of the champion" in found[2].details[0]
        assert not all_identical(found)
        assert first_difference(found) is None

    def test_scores_of_the_candidate_that_differ_are_still_found(self, stages, alone):
        evaluation = json.loads((alone.root / "reports/evaluate.json").read_text())
        evaluation["contenders"]["candidate"]["f1"] = 0.25
        (alone.root / "reports/evaluate.json").write_text(json.dumps(evaluation))
        found = compare.outputs(stages, alone)
        assert found[2].outcome == "different"
        assert found[2].details == ("contenders.candidate.f1 is 0.25, registered was 0.5",)


class TestChampion:
    """The files that a candidate was compared with are those of that champion, or refused."""

    @pytest.fixture
    def files_of(self, tmp_path):
        folder = tmp_path / "champion-files"
        folder.mkdir()
        return folder, write_candidate(folder)

    def recipe(self, project, digest):
        return tiny.recipe(project, champion=Champion(name="tiny", version="1", digest=digest))

    def test_they_are_placed_with_their_record(self, project, tmp_path, files_of):
        folder, candidate = files_of
        root = tmp_path / "root"
        assert champion.place(self.recipe(project, candidate.digest), folder, root) == "compared"
        record = json.loads((root / "champion/champion.json").read_text())
        assert record == {"name": "tiny", "version": "1", "digest": candidate.digest}
        assert (root / "champion/model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()

    def test_none_is_recorded_as_none(self, project, tmp_path):
        assert champion.place(tiny.recipe(project), None, tmp_path) == "none"
        assert json.loads((tmp_path / "champion/champion.json").read_text()) == {"version": None, "digest": None}

    def test_without_files_nothing_is_placed(self, project, tmp_path):
        assert champion.place(self.recipe(project, "1"), None, tmp_path / "root") == "files not given"
        assert not (tmp_path / "root").exists()

    def test_files_of_another_model_are_refused(self, project, tmp_path, files_of):
        with pytest.raises(InputError, match=r"was compared with 1111 \(version 1\); give the files of that one"):
            champion.place(self.recipe(project, "1111"), files_of[0], tmp_path / "root")

    def test_files_that_were_changed_are_refused_by_name(self, project, tmp_path, files_of):
        folder, candidate = files_of
        (folder / "model.onnx").write_bytes(b"other")
        with pytest.raises(IntegrityError, match=r"model\.onnx has not the SHA-256"):
            champion.place(self.recipe(project, candidate.digest), folder, tmp_path / "root")


@pytest.mark.parametrize(
    ("change", "answer", "exit_code"),
    [
        ({}, "BIT-IDENTICAL: tiny version 3", 0),
        ({"identical": False, "first": "train"}, "the first stage that differs is train", 1),
        ({"identical": False}, "nothing differs, but reports/evaluate could not be compared", 1),
    ],
)
def test_the_last_line_is_the_answer(stages, made, change, answer, exit_code):
    outputs = list(compare.outputs(stages, made))
    if change:
        outputs[-1] = outputs[-1].model_copy(update={"outcome": "not compared"})
    result = Result(
        **{"name": "tiny", "version": "3", "commit": "c" * 40, "identical": True, "first": None, "data": "cache"}
        | {"interpreter": "current", "environment": (), "sources": (), "champion": "none", "outputs": outputs}
        | change
    )
    assert answer in report.lines(result)[-1]
    assert result.exit_code == exit_code
    assert Result.from_json(result.to_json()) == result
