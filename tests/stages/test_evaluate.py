"""evaluate: everyone answers for the same rows, and the pictures are those of this evaluation."""

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stages.conftest import SEED, Scorer, few_resamples, promote_candidate, train_candidate
from wattline import comparison, files, splits
from wattline.errors import InputError, IntegrityError
from wattline.records import Candidate, Evaluation
from wattline.stages import evaluate

PICTURES = ["best_unit.png", "contenders.png", "slices.png", "worst_unit.png"]


@pytest.fixture
def scored(trained) -> Callable[..., Evaluation]:
    """Run `evaluate` and read its report."""

    def run(task: Any = None, **options: Any) -> Evaluation:
        evaluate.run(evaluate=few_resamples(), train=options, seed=SEED, task=task or Scorer())
        return files.read_report("evaluate", Evaluation)

    return run


def test_candidate_and_baselines_answer_for_all_test_rows(scored):
    found, test = scored(), splits.read_test()
    assert list(found.contenders) == ["candidate", "constant"]
    assert found.rows == sum(len(series) for series in test.values())
    assert found.rows_sha256 == comparison.rows_digest(test)
    assert found.candidate == train_candidate().digest
    assert found.data == splits.read_manifest().data
    assert found.headline == Scorer.description.headline


def test_the_candidates_scores_are_those_of_its_graph(scored):
    from builders import mean_abs

    found = scored()
    units = [part for part in found.slices if part.kind == "unit"]
    for index, (unit, series) in enumerate(splits.read_test().items()):
        score = mean_abs(series.windows(4), np.full(len(series), index))
        assert (units[index].name, units[index].rows) == (unit, len(series))
        assert units[index].scores["mean_score"] == pytest.approx(float(score.mean()), rel=1e-5)


def test_slices_are_units_and_racks(scored):
    found = scored()
    racks = set(splits.read_manifest().units().values())
    assert {part.name for part in found.slices if part.kind == "group"} == racks
    assert sum(part.rows for part in found.slices if part.kind == "group") == found.rows


def test_robustness_is_the_headline_under_each_perturbation(scored):
    found = scored()
    assert list(found.robustness) == ["noise of 0.1 standard deviations", "5% of values missing"]
    assert all(math.isfinite(score.value) for score in found.robustness.values())
    clean = found.contenders["candidate"]["separation"]
    assert any(score != clean for score in found.robustness.values())


def test_the_same_files_give_the_same_bytes(scored):
    scored()
    before = files.digests(files.REPORTS)
    scored()
    assert files.digests(files.REPORTS) == before


class TestChampion:
    def test_without_one_there_is_no_difference(self, scored):
        found = scored()
        assert found.champion.version is None
        assert found.versus_champion == {}

    def test_one_that_was_looked_for_and_not_found_is_none(self, scored):
        files.write_text(files.CHAMPION / "champion.json", '{"version": null, "digest": null}')
        assert list(scored().contenders) == ["candidate", "constant"]

    def test_an_equal_one_differs_by_nothing(self, scored):
        champion = promote_candidate()
        found = scored()
        assert found.champion == champion
        assert found.contenders["champion"] == found.contenders["candidate"]
        for score in found.versus_champion.values():
            assert (score.low, score.value, score.high) == (0, 0, 0)

    def test_one_whose_bytes_were_changed_is_refused(self, scored):
        promote_candidate()
        path = files.CHAMPION / "model.onnx"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(IntegrityError, match=r"champion/model\.onnx"):
            scored()

    def test_one_that_needs_another_column_is_named(self, scored):
        promote_candidate()
        rename_column(files.CHAMPION, "of_another_site")
        with pytest.raises(InputError, match="needs column 'of_another_site'"):
            scored()

    def test_one_that_is_no_record_is_refused(self, scored):
        files.write_text(files.CHAMPION / "champion.json", "{}x")
        with pytest.raises(InputError, match=r"champion/champion\.json is not a Champion record"):
            scored()


def rename_column(folder: Any, name: str) -> None:
    """Let the model in `folder` want another first column, with records that fit."""
    signature = json.loads((folder / "signature.json").read_text())
    signature["columns"][0]["name"] = name
    (folder / "signature.json").write_text(json.dumps(signature))
    candidate = json.loads((folder / "candidate.json").read_text())
    candidate["files"]["signature.json"] = files.sha256(folder / "signature.json")
    files.write_text(folder / "candidate.json", Candidate.model_validate(candidate).to_json())


class TestRefusal:
    def test_a_candidate_whose_bytes_were_changed(self, scored):
        path = files.CANDIDATE / "model.onnx"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(IntegrityError, match=r"models/candidate/model\.onnx"):
            scored()

    def test_changed_test_rows(self, scored):
        path = next((files.PREPARED / "test").iterdir())
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(IntegrityError, match=r"data/prepared/test/.*prepare"):
            scored()

    def test_options_that_the_task_does_not_know(self, scored):
        with pytest.raises(InputError, match=r"params\.yaml: scorer\.train\.rate is not a known key"):
            scored(rate=1)


class TestPictures:
    def test_they_are_drawn(self, scored):
        scored()
        assert sorted(path.name for path in (files.REPORTS / "evaluate").iterdir()) == PICTURES

    def test_those_of_a_former_evaluation_do_not_stay(self, scored):
        scored()
        undefined = SimpleNamespace(
            description=Scorer.description,
            options=Scorer.options,
            baselines=Scorer().baselines,
            score=lambda *_, **__: {"separation": math.nan, "mean_score": 1.0},
        )
        found = scored(undefined)
        assert math.isnan(found.contenders["candidate"]["separation"].value)
        assert sorted(path.name for path in (files.REPORTS / "evaluate").iterdir()) == ["contenders.png", "slices.png"]
