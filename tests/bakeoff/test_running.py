"""wattline bakeoff: models really trained, scored and measured, and nothing of the project touched."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bakeoff.conftest import CHEAP, DEAR, MODELS, WRONG, written
from wattline import files, params
from wattline.bakeoff import plan, running, workspace, writing
from wattline.errors import InputError, RejectedError, WattlineError


def said_by(**arguments) -> tuple[list[str], object]:
    lines: list[str] = []
    return lines, running.run(say=lines.append, **arguments)


def everything(folder: Path) -> dict[str, str]:
    """Digests of all files of a project but what the bake-off writes."""
    found = files.digests(folder)
    return {name: digest for name, digest in found.items() if not name.startswith((".wattline/", "reports/bakeoff/"))}


def entrant(result, name):
    return next(one for one in result.entrants if one.name == name)


class TestARealOne:
    def test_it_touches_nothing_of_the_project(self, finished_folder, prepared_folder):
        after = everything(finished_folder)
        assert after.pop("params.yaml")
        before = everything(prepared_folder)
        assert before.pop("params.yaml")
        assert after == before
        names = sorted(path.name for path in (finished_folder / writing.FOLDER).iterdir())
        assert names == ["bakeoff.json", "bakeoff.md", "pareto.png"]

    def test_right_answers_win_by_accuracy_and_the_cheaper_of_two_equal_ones_wins(self, finished):
        finished(MODELS)
        result = writing.read()
        assert result.choice.ranked == ("cheap", "dear", "wrong")
        assert entrant(result, "cheap").headline == entrant(result, "dear").headline
        dear, cheap = (entrant(result, name).performance.energy_per_1000 for name in ("dear", "cheap"))
        assert dear.joules > cheap.joules
        assert "dear" not in result.choice.front

    def test_the_cheaper_one_wins_by_energy_among_those_that_reach_the_floor(self, finished):
        finished(MODELS)
        floor = entrant(writing.read(), "cheap").headline.low
        Path("params.yaml").write_text(written(MODELS, {"choose": "energy", "floor": floor}))
        _, result = said_by()
        assert result.choice.ranked == ("cheap", "dear")
        assert set(result.choice.obstacles) == {"wrong"}

    def test_every_figure_is_there_with_its_provenance(self, finished):
        finished(MODELS)
        result, page = writing.read(), (writing.FOLDER / writing.TABLE).read_text()
        for one in result.entrants:
            cost = one.performance.energy_per_1000
            assert one.digest
            assert one.parameters == 1
            assert one.training.joules > 0
            assert 0 < one.performance.latency_p50_ms <= one.performance.latency_p99_ms
            assert f"{cost.joules:.3g} [{cost.interval[0]:.3g}, {cost.interval[1]:.3g}] {cost.provenance}" in page
            assert cost.sensor in page
            assert one.failure is None


class TestTheClosestCompetitor:
    def test_it_is_held_against_the_chosen_one_in_the_paired_test(self, finished):
        finished(MODELS)
        result = writing.read()
        versus = result.versus
        assert (result.choice.name, versus.name) == ("cheap", "dear")
        assert versus.problem is None
        digests = {one.name: one.digest for one in versus.comparison.test.contenders}
        assert digests == {"candidate": entrant(result, "cheap").digest, "baseline": entrant(result, "dear").digest}
        assert (versus.difference.low, versus.difference.value, versus.difference.high) == (0, 0, 0)
        assert f"{versus.comparison.judgement.outcome}: " in (writing.FOLDER / writing.TABLE).read_text()

    def test_where_nobody_else_meets_the_rule_there_is_none(self, finished):
        finished({"cheap": CHEAP})
        _, result = said_by()
        assert result.versus is None
        assert "cheap has no competitor" in (writing.FOLDER / writing.TABLE).read_text()


class TestAgain:
    def test_what_was_finished_is_not_run_again_and_equal_figures_give_equal_files(self, finished):
        finished(MODELS)
        first = {path.name: path.read_bytes() for path in writing.FOLDER.iterdir()}
        lines, _ = said_by()
        assert {f"{name}: {stage} was done before" for name in MODELS for stage in ("train", "evaluate")} <= set(lines)
        assert first == {path.name: path.read_bytes() for path in writing.FOLDER.iterdir()}

    def test_another_model_beside_them_is_run_alone_and_all_are_measured_in_one_session(self, finished):
        finished({"cheap": CHEAP, "dearer": DEAR | {"layers": 90}})
        before = writing.read()
        lines, after = said_by()
        assert "cheap: train was done before" in lines
        assert "dearer: train was done before" not in lines
        assert entrant(after, "cheap").digest == entrant(before, "cheap").digest
        assert entrant(after, "cheap").performance != entrant(before, "cheap").performance

    def test_changed_weights_are_trained_again(self, finished):
        finished({"cheap": CHEAP})
        digest = entrant(writing.read(), "cheap").digest
        (path,) = workspace.folder().glob("cheap-*/models/candidate/weights.safetensors")
        path.write_bytes(b"something else")
        lines, after = said_by()
        assert "cheap: train was done before" not in lines
        assert after.entrants[0].digest == digest

    @pytest.mark.parametrize(
        ("before", "after", "again"),
        [
            ("seed: 7", "seed: 8", ("train", "evaluate")),
            ("resamples: 100", "resamples: 120", ("evaluate",)),
            ("batch: 32", "batch: 16", ()),
        ],
    )
    def test_what_read_a_changed_knob_is_done_again(self, finished, before, after, again):
        finished({"cheap": CHEAP})
        text = Path("params.yaml").read_text()
        assert before in text
        Path("params.yaml").write_text(text.replace(before, after))
        lines, _ = said_by()
        done = {stage for stage in ("train", "evaluate") if f"cheap: {stage} was done before" in lines}
        assert done == {"train", "evaluate"} - set(again)


class TestInterrupted:
    def start(self, folder: Path) -> "subprocess.Popen[str]":
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "wattline", "bakeoff"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while not list(folder.glob(".wattline/bakeoff/waits-*/.wattline/checkpoints/*/attempt-*/step-*.safetensors")):
            assert time.monotonic() < deadline, "it never got half-way"
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        return process

    def stages_at_work(self, folder: Path) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                here = (process / "cwd").resolve(strict=True)
            except OSError:
                continue
            if here.is_relative_to(folder / ".wattline" / "bakeoff"):
                found.append(int(process.name))
        return found

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_nothing_goes_on_or_is_left_half_written_and_the_next_run_resumes_the_training(self, project, how):
        folder = project({"waits": {"answers": "waits"}})
        process = self.start(folder)
        process.send_signal(how)
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "Traceback" not in output
        assert self.stages_at_work(folder) == []
        assert not writing.FOLDER.exists()
        _, result = said_by()
        (report,) = folder.glob(".wattline/bakeoff/waits-*/reports/train.json")
        assert '"resumed": 1.0' in report.read_text()
        assert result.choice.name == "waits"

    def test_after_a_kill_its_stage_keeps_the_next_one_out_for_as_long_as_it_lives(self, project):
        folder = project({"waits": {"answers": "waits"}})
        process = self.start(folder)
        process.kill()
        process.communicate()
        left = self.stages_at_work(folder)
        assert left
        try:
            with pytest.raises(WattlineError, match="another bake-off, or a stage that it left behind, is at work"):
                said_by()
        finally:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        while self.stages_at_work(folder):
            time.sleep(0.02)
        _, result = said_by()
        assert result.choice.name == "waits"


class TestFailures:
    def test_a_model_that_fails_is_a_row_with_the_reason_and_cannot_win(self, project):
        reasons = {
            "diverges": "train ended with exit code 1: training diverged: loss is nan at epoch 0; "
            "lower the learning rate",
            "refuses": "train ended with exit code 2: this model refuses to be trained",
            "dies": "train was killed by SIGKILL; look for a lack of memory",
        }
        project({name: {"answers": name} for name in reasons} | {"wrong": WRONG})
        _, result = said_by()
        assert result.choice.name == "wrong"
        assert result.choice.obstacles == reasons
        assert {one.name: one.failure for one in result.entrants[1:]} == reasons
        page = (writing.FOLDER / writing.TABLE).read_text()
        assert all(reason in page for reason in reasons.values())
        assert writing.check().to_json() == result.to_json()

    @pytest.mark.parametrize(
        ("rule", "why"),
        [
            ({"choose": "accuracy", "budget_joules": 1e-9}, "upper bound of energy"),
            ({"choose": "energy", "floor": 1e9}, "worse bound of"),
            ({"choose": "energy", "floor": -1e9, "latency_p99_ms": 1e-9}, "p99 latency"),
        ],
    )
    def test_without_a_model_that_meets_the_rule_the_table_is_written_nevertheless(self, finished, rule, why):
        folder = finished(MODELS, rule)
        before = (folder / "params.yaml").read_text()
        with pytest.raises(RejectedError, match=f"no model meets the rule.*cheap: .*{why}") as refusal:
            said_by(write=True)
        assert refusal.value.exit_code == 1
        assert "Nothing was chosen" in (writing.FOLDER / writing.TABLE).read_text()
        assert (folder / "params.yaml").read_text() == before

    def test_all_failing_is_no_crash(self, project):
        project({"one": {"answers": "refuses"}})
        with pytest.raises(RejectedError, match=r"one: train ended"):
            said_by()
        assert writing.read().choice.ranked == ()


class TestRefusal:
    """Nothing runs, and nothing is written."""

    @pytest.mark.parametrize(
        ("models", "sentence"),
        [
            ({"a": {"colour": "red"}}, r"params.yaml: contestants.bakeoff.models.a.colour is not a known key"),
            ({"a": {"answers": "loud"}}, r"contestants.bakeoff.models.a.answers must be 'right', 'wrong'"),
            ({"a": {"answers": "right"}, "b": {"answers": "right"}}, "a and b have the same options; remove one"),
            ({"a": {"answers": "wrong"}, "b": {}}, "a and b have the same options; remove one"),
            ({}, "models must name at least one model"),
            ([], "models must name at least one model"),
            ({"../a": CHEAP}, "must match pattern"),
            ({"a": None}, "models.a must be a valid dictionary"),
        ],
    )
    def test_of_models(self, project, models, sentence):
        project({})
        Path("params.yaml").write_text(written({}).replace("models: {}", f"models: {models}"))
        with pytest.raises(InputError, match=sentence):
            said_by()
        assert not workspace.folder().exists()
        assert not writing.FOLDER.exists()

    @pytest.mark.parametrize(
        ("rule", "sentence"),
        [
            ({"choose": "accuracy", "budget_joules": 0}, "rule.budget_joules must be > 0, got 0"),
            ({"choose": "accuracy", "budget_joules": -1}, "rule.budget_joules must be > 0, got -1"),
            ({"choose": "accuracy", "budget_joules": "5"}, "rule.budget_joules must be a number, got '5'"),
            ({"choose": "accuracy"}, "choose: accuracy needs budget_joules; add it"),
            ({"choose": "energy"}, "choose: energy needs floor; add it"),
            ({"choose": "energy", "floor": True}, "rule.floor must be a number, got True"),
            ({"choose": "energy", "budget_joules": 1}, "choose: energy needs floor; add it"),
            ({"choose": "energy", "floor": 1, "budget_joules": 1}, "knows no budget_joules, only floor"),
            ({"choose": "accuracy", "floor": 1, "budget_joules": 1}, "knows no floor, only budget_joules"),
            ({"choose": "speed"}, "rule.choose must be 'accuracy' or 'energy'"),
            ({"choose": "energy", "floor": 1, "latency_p99_ms": 0}, "rule.latency_p99_ms must be > 0, got 0"),
            ({}, "rule.choose is missing"),
        ],
    )
    def test_of_rules(self, project, rule, sentence):
        project({"cheap": CHEAP}, rule)
        with pytest.raises(InputError, match=sentence):
            said_by()
        assert not workspace.folder().exists()

    def test_without_the_section(self, project):
        folder = project({"cheap": CHEAP})
        tree = yaml.safe_load((folder / "params.yaml").read_text())
        del tree["contestants"]["bakeoff"]
        (folder / "params.yaml").write_text(yaml.safe_dump(tree))
        with pytest.raises(InputError, match=r"contestants\.bakeoff is missing; add models and a rule"):
            said_by()

    def test_without_prepared_rows(self, project):
        folder = project({"cheap": CHEAP})
        (folder / "data/prepared/manifest.json").unlink()
        with pytest.raises(InputError, match=r"data/prepared/manifest\.json is missing; run `dvc repro` to make it"):
            said_by()


class TestAdopting:
    def test_the_chosen_options_are_written_and_comments_stay(self, finished):
        folder = finished(MODELS)
        said_by(write=True)
        assert (folder / "params.yaml").read_text().startswith("# kept: a person wrote this\n")
        assert params.load().block.train == {"answers": "right", "layers": 0, "nested": {"a": 1, "b": 2}}

    def test_overrides_of_a_nested_section_leave_the_rest_of_it(self, project):
        project({"cheap": CHEAP | {"nested": {"b": 3}}})
        loaded = params.load()
        (model,) = plan.models(loaded, params.load_task(loaded.task), plan.inputs(params.load_task(loaded.task)))
        running.adopt(model, loaded)
        assert params.load().block.train["nested"] == {"a": 1, "b": 3}

    def test_without_write_params_stay_byte_by_byte(self, finished):
        folder = finished(MODELS)
        before = (folder / "params.yaml").read_bytes()
        said_by()
        assert (folder / "params.yaml").read_bytes() == before

    def test_rows_that_are_prepared_anew_do_not_reach_a_workspace(self, finished):
        folder = finished(MODELS)
        (linked,) = workspace.folder().glob("cheap-*/data/prepared/manifest.json")
        before = linked.read_bytes()
        files.write_text(folder / "data/prepared/manifest.json", "{}")
        assert linked.read_bytes() == before


class TestCheck:
    def test_what_was_written_is_chosen_again(self, finished):
        finished(MODELS)
        assert writing.check().choice == writing.read().choice

    def test_another_name_in_the_record_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        forged = result.model_copy(update={"choice": result.choice.model_copy(update={"name": "dear"})})
        (writing.FOLDER / writing.RECORD).write_text(forged.to_json())
        with pytest.raises(
            WattlineError, match="says dear of cheap, dear, wrong, its figures say cheap of cheap, dear"
        ):
            writing.check()

    def test_another_figure_in_the_record_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        first, *others = result.entrants
        forged = first.model_copy(update={"headline": first.headline.model_copy(update={"value": -1e9, "low": -1e9})})
        (writing.FOLDER / writing.RECORD).write_text(
            result.model_copy(update={"entrants": (forged, *others)}).to_json()
        )
        with pytest.raises(WattlineError, match=r"says cheap of .*, its figures say dear of"):
            writing.check()

    def test_an_energy_that_is_not_that_of_the_readings_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        first, *others = result.entrants
        dearest = first.performance.energy_per_1000.scaled(1e9)
        changed = first.model_copy(
            update={"performance": first.performance.model_copy(update={"energy_per_1000": dearest})}
        )
        (writing.FOLDER / writing.RECORD).write_text(
            result.model_copy(update={"entrants": (changed, *others)}).to_json()
        )
        with pytest.raises(WattlineError, match="the energy of cheap is not that of the readings"):
            writing.check()

    def test_a_verdict_that_the_samples_do_not_give_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        said = result.versus.comparison.judgement
        other = "FAIL" if said.outcome != "FAIL" else "PASS"
        comparison = result.versus.comparison.model_copy(
            update={"judgement": said.model_copy(update={"outcome": other})}
        )
        versus = result.versus.model_copy(update={"comparison": comparison})
        (writing.FOLDER / writing.RECORD).write_text(result.model_copy(update={"versus": versus}).to_json())
        with pytest.raises(WattlineError, match=f"says {other}, the samples of the test say {said.outcome}"):
            writing.check()

    def test_another_word_in_the_table_is_found(self, finished):
        finished(MODELS)
        path = writing.FOLDER / writing.TABLE
        path.write_text(path.read_text().replace("cheap", "free"))
        with pytest.raises(WattlineError, match=r"bakeoff\.md does not say what bakeoff\.json says"):
            writing.check()

    @pytest.mark.parametrize("content", [None, b"\xff"])
    def test_a_table_that_is_none_is_found(self, finished, content: bytes | None):
        finished(MODELS)
        path = writing.FOLDER / writing.TABLE
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(WattlineError, match=r"bakeoff\.md does not say what bakeoff\.json says"):
            writing.check()

    def test_a_model_without_readings_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        first, *others = result.entrants
        forged = first.model_copy(update={"name": "forged"})
        (writing.FOLDER / writing.RECORD).write_text(
            result.model_copy(update={"entrants": (forged, *others)}).to_json()
        )
        with pytest.raises(WattlineError, match="'forged' has no readings"):
            writing.check()

    def test_a_meter_that_failed_its_self_test_is_found(self, finished):
        finished(MODELS)
        result = writing.read()
        tested = result.turns.self_test
        failed = tested.conditions[0].model_copy(update={"holds": False})
        broken = tested.model_copy(update={"conditions": (failed, *tested.conditions[1:])})
        turns = result.turns.model_copy(update={"self_test": broken})
        (writing.FOLDER / writing.RECORD).write_text(result.model_copy(update={"turns": turns}).to_json())
        with pytest.raises(WattlineError, match="the meter failed its self-test"):
            writing.check()

    def test_without_a_record_it_says_so(self, project):
        project({"cheap": CHEAP})
        with pytest.raises(InputError, match=r"bakeoff\.json is missing"):
            writing.check()
