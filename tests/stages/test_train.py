"""train: a complete candidate or the former one, the same bytes every time, and no work lost by an interruption."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from builders import scorer
from onnx import numpy_helper
from safetensors.numpy import load

from project.task import TASK
from stages.conftest import ROOT, SEED, STEPS, Scorer, train_candidate, with_reference
from wattline import files, splits
from wattline.checkpoints import Kept
from wattline.energy import training
from wattline.energy.meters import MeterError
from wattline.errors import InputError, PausedError, SupersededError, WattlineError
from wattline.params import HpcParams
from wattline.records import Signature, TrainingEnergy
from wattline.serving.inference import golden
from wattline.serving.inference.engine import Engine
from wattline.serving.inference.golden import Golden
from wattline.stages import train
from wattline.stages.train import PARITY_TOLERANCE, Training, sample_windows
from wattline.task import Run, Trained, TrainingData

CHECKPOINTS = Path(".wattline/checkpoints")
SMALL = {"channels": 4, "kernel": 3, "epochs": 4, "batch": 64, "patience": 4, "windows_per_epoch": 256}


class InterruptedTraining(Exception):  # noqa: N818
    """Somebody pressed Ctrl-C, or the machine went away."""


def knobs(model: str, train: Mapping[str, Any]) -> dict[str, Any]:
    """The project's own knobs, with a model that trains in a second."""
    return dict(train) | {"model": model, "convolution": dict(train["convolution"]) | SMALL}


class TestCandidate:
    """What `train` writes about a model is complete and true."""

    @pytest.fixture(autouse=True)
    def training(self, project, fit):
        fit()
        return project

    def test_the_folder_holds_the_five_files(self):
        assert sorted(files.digests(files.CANDIDATE)) == [
            "candidate.json",
            "golden.json",
            "model.onnx",
            "signature.json",
            "weights.safetensors",
        ]

    def test_the_record_names_every_file_with_its_digest(self):
        on_disk = files.digests(files.CANDIDATE)
        del on_disk["candidate.json"]
        assert dict(train_candidate().files) == on_disk

    def test_the_record_says_what_it_was_made_from(self):
        candidate, manifest = train_candidate(), splits.read_manifest()
        assert (candidate.task, candidate.model) == ("scorer", "mean-abs")
        assert (candidate.data, candidate.dataset) == (manifest.data, manifest.dataset)
        assert candidate.parameters == 3

    def test_parity_was_looked_for_on_raw_windows(self):
        candidate = train_candidate()
        assert 0 <= candidate.parity_max_abs <= PARITY_TOLERANCE
        assert candidate.parity_windows == sum(len(rows) for rows in splits.read_training_data().validation.values())

    def test_the_signature_is_that_of_graph_and_rows(self):
        signature = files.read_record(files.CANDIDATE / "signature.json", Signature)
        manifest = splits.read_manifest()
        assert (signature.task, signature.steps) == ("scorer", STEPS)
        assert (signature.columns, signature.units) == (manifest.columns, tuple(manifest.units()))
        assert signature.cadence_seconds == manifest.cadence_seconds

    def test_it_can_be_loaded_and_run(self):
        engine = Engine(files.CANDIDATE)
        unit, series = next(iter(splits.read_test().items()))
        columns = [column.name for column in splits.read_manifest().columns]
        assert engine.signature.index(unit) == 0
        assert engine.predict(series, columns=columns)["score"].shape == (len(series),)

    def test_it_carries_real_windows_with_the_answers_of_its_graph(self):
        engine, found = Engine(files.CANDIDATE), files.read_record(files.CANDIDATE / "golden.json", Golden)
        golden.check(engine, found)
        windows = np.array(found.windows, np.float32)
        validation = splits.read_training_data().validation
        assert found.units == (0, -1)
        assert np.isnan(windows).sum(axis=(1, 2)).tolist() == [0, 1]
        for window, series in zip(windows, (list(validation.values())[place] for place in (0, -1)), strict=True):
            rows = series.windows(STEPS)
            same = (rows == window) | np.isnan(window)
            assert same.all(axis=(1, 2)).any(), "a window of the recorded rows"
        assert (files.CANDIDATE / "golden.json").stat().st_size < 10_000

    def test_the_weights_are_those_of_the_task(self):
        weights = load((files.CANDIDATE / "weights.safetensors").read_bytes())
        np.testing.assert_array_equal(weights["centers"], [0, 1, 2])

    def test_the_report_says_the_same(self):
        report, candidate = files.read_report("train", Training), train_candidate()
        assert (report.candidate, report.data) == (candidate.digest, candidate.data)
        assert (report.epochs, report.final, report.steps) == (2, {"loss": 1.0}, STEPS)

    def test_the_energy_has_an_interval_and_a_provenance(self):
        energy = files.read_report("train_energy", TrainingEnergy).total
        assert energy.interval[0] <= energy.joules <= energy.interval[1]
        assert energy.sensor

    def test_the_curves_are_a_table(self):
        with (files.REPORTS / "train" / "curves.csv").open() as stream:
            assert list(csv.DictReader(stream)) == [{"epoch": "0", "loss": "2.0"}, {"epoch": "1", "loss": "1.0"}]

    def test_the_run_is_logged_with_its_knobs_and_energy(self, logged):
        (call,) = logged
        assert call["candidate"] == train_candidate()
        assert call["params"]["seed"] == SEED
        assert call["curves"] == ({"loss": 2.0}, {"loss": 1.0})
        assert call["energy"] == files.read_report("train_energy", TrainingEnergy)

    def test_what_it_ran_on_is_told_beside_the_energy_and_in_no_report_that_must_be_equal(self, fit, logged):
        before = files.report_path("train").read_bytes(), files.digests(files.CANDIDATE)
        fit(Scorer(lambda trained: replace(trained, notes={"device": "cuda"})))
        assert (files.report_path("train").read_bytes(), files.digests(files.CANDIDATE)) == before
        assert files.read_report("train_energy", TrainingEnergy).ran_on == {"device": "cuda"}
        assert logged[-1]["energy"].ran_on == {"device": "cuda"}

    def test_no_checkpoint_and_no_temporary_folder_is_left(self):
        assert list(CHECKPOINTS.iterdir()) == []
        assert sorted(path.name for path in files.CANDIDATE.parent.iterdir()) == ["candidate"]

    def test_it_knows_no_path_of_this_machine(self, training):
        for path in [*files.CANDIDATE.iterdir(), *files.REPORTS.rglob("*.json")]:
            assert str(training).encode() not in path.read_bytes()
            assert str(ROOT).encode() not in path.read_bytes()


def test_golden_windows_are_the_most_complete_ones_that_there_are(trained):
    data = splits.read_training_data()
    signature = files.read_record(files.CANDIDATE / "signature.json", Signature)
    for series in data.validation.values():
        series.values[: len(series.values) // 2] = np.nan
    windows, _ = golden.sample(data.validation, signature)
    assert np.isnan(windows).sum() == 1
    for series in data.validation.values():
        series.values[:] = np.nan
    windows, units = golden.sample(data.validation, signature)
    assert np.isnan(windows).all()
    assert golden.make(Engine(files.CANDIDATE), windows, units).count(b"null") == windows.size


def test_parity_is_looked_for_with_missing_values_and_unknown_units(trained):
    data = splits.read_training_data()
    signature = files.read_record(files.CANDIDATE / "signature.json", Signature)
    windows, units = sample_windows(data, signature)
    assert set(units) == {-1, 0, 1, 2}
    assert np.isnan(windows[::10, :, 0]).all()
    assert not np.isnan(windows[1]).all()


class TestFailure:
    """Whatever is wrong with a training, the former candidate and its reports stay."""

    @pytest.fixture(autouse=True)
    def former(self, trained, logged):
        logged.clear()
        before = files.digests(files.CANDIDATE), files.digests(files.REPORTS)
        yield
        assert (files.digests(files.CANDIDATE), files.digests(files.REPORTS)) == before
        assert sorted(path.name for path in files.CANDIDATE.parent.iterdir()) == ["candidate"]
        assert not logged

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_curve_that_is_not_finite(self, fit, value):
        task = Scorer(lambda trained: replace(trained, curves=[{"loss": 1.0}, {"loss": value}]))
        with pytest.raises(WattlineError, match=r"training diverged: loss is .* at epoch 1; lower the learning rate"):
            fit(task)

    def test_no_curve_at_all(self, fit):
        with pytest.raises(InputError, match="gave no training curves"):
            fit(Scorer(lambda trained: replace(trained, curves=[])))

    def test_a_curve_with_other_figures_in_a_later_epoch(self, fit):
        task = Scorer(lambda trained: replace(trained, curves=[{"loss": 1.0}, {"loss": 1.0, "rate": 2.0}]))
        with pytest.raises(InputError, match="epoch 1 of the training curves has figures loss, rate"):
            fit(task)

    def test_a_gpu_that_the_automatic_meter_does_not_see(self, fit, monkeypatch):
        """It is found out at the first report: most of what such a training takes would be left out."""
        monkeypatch.setattr(training.cuda, "in_use", lambda: True)
        with pytest.raises(MeterError, match=r"uses a GPU, which energy\.meter: auto does not meter there"):
            fit()

    @pytest.mark.parametrize("change", [2e-5, -1.0, np.nan])
    def test_a_model_that_differs_from_its_graph(self, fit, change):
        differing = with_reference(lambda outputs: {"score": outputs["score"] * (1 + change)})
        with pytest.raises(WattlineError, match="the exported graph differs from the trained model by"):
            fit(Scorer(differing))

    def test_a_model_that_differs_for_unknown_units_alone(self, fit):
        def differing(trained: Trained) -> Trained:
            def reference(windows: Any, units: Any) -> Any:
                return {"score": trained.reference(windows, units)["score"] + (units < 0)}

            return replace(trained, reference=reference)

        with pytest.raises(WattlineError, match="differs from the trained model"):
            fit(Scorer(differing))

    def test_a_model_that_says_nothing_of_an_output(self, fit):
        with pytest.raises(InputError, match=r"Trained\.reference must give every output"):
            fit(Scorer(with_reference(lambda outputs: {})))

    def test_a_graph_with_other_inputs(self, fit):
        def renamed(trained: Trained) -> Trained:
            columns = splits.read_manifest().columns
            graph = scorer(columns, steps=STEPS, optional=False, rename={"unit": "node"})
            return replace(trained, graph=graph.SerializeToString())

        with pytest.raises(InputError, match="inputs must be window"):
            fit(Scorer(renamed))

    def test_weights_that_are_not_finite(self, fit):
        def broken(trained: Trained) -> Trained:
            model = onnx.load_from_string(trained.graph)
            for value in model.graph.initializer:
                if value.name == "centers":
                    value.CopyFrom(numpy_helper.from_array(np.full(4, np.inf, np.float32), "centers"))
            return replace(trained, graph=model.SerializeToString())

        with pytest.raises(WattlineError, match="differs from the trained model"):
            fit(Scorer(broken))

    def test_an_option_that_the_task_does_not_know(self, fit):
        with pytest.raises(InputError, match=r"params\.yaml: scorer\.train\.rate is not a known key, got 1"):
            fit(rate=1)

    def test_changed_rows(self, fit):
        path = files.PREPARED / "train" / f"{splits.read_manifest().parts[0].unit}.parquet"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(WattlineError, match="recorded was"):
            fit()


def test_another_training_replaces_the_former_candidate(fit, trained):
    before = train_candidate()
    fit(Scorer(lambda one: replace(one, tensors={"other": np.ones(7, np.float32)})))
    after = train_candidate()
    assert after.digest != before.digest
    assert after.parameters == 7


PROGRAM = """
import json, sys
from project.task import TASK
from wattline import files
from wattline.params import EnergyParams
from wattline.stages import train
train.tracking.log_training = lambda *_, **__: None
energy = EnergyParams(watts_per_core=10, watts_source="a test", idle_share=0, idle_source="a test")
written = []
for options in json.loads(sys.argv[1]):
    train.run(train=options, energy=energy, seed=7, task=TASK)
    written.append([files.digests(files.CANDIDATE), files.digests(files.REPORTS)])
print(json.dumps(written))
"""


def train_in_a_process(options: list[dict[str, Any]], *, hash_seed: str, threads: str) -> Any:
    """Digests of what the real task writes in a process of its own, for each of the options."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-c", PROGRAM, json.dumps(options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout.splitlines()[-1])
    for _, reports in written:
        del reports["train_energy.json"]
    return written


def test_a_gpu_that_is_left_out_by_name_is_left_out(project, fit, block, monkeypatch):
    monkeypatch.setattr(training.cuda, "in_use", lambda: True)
    train.run(train={}, energy=block.energy.model_copy(update={"meter": "estimate"}), seed=SEED, task=Scorer())
    assert files.report_path("train_energy").exists()


def test_two_processes_train_the_same_bytes(project, block):
    options = [knobs(model, block.train) for model in ("linear", "convolution")]
    first = train_in_a_process(options, hash_seed="1", threads="1")
    assert first[0] != first[1]
    assert train_in_a_process(options, hash_seed="2", threads="2") == first


@pytest.fixture
def always_kept(monkeypatch):
    """A checkpoint is due whenever the task asks."""
    monkeypatch.setattr(train, "_hpc", lambda: HpcParams(checkpoint_minutes=1e-9))


class TestInterruption:
    """The real task's gradient descent, interrupted and resumed."""

    @pytest.fixture(autouse=True)
    def prepared(self, project, always_kept):
        return project

    @pytest.fixture
    def options(self, block) -> dict[str, Any]:
        return knobs("convolution", block.train)

    @pytest.fixture
    def interrupted(self, monkeypatch) -> Callable[[int], list[str]]:
        """Let the training die when it reports an epoch; gives the list of epochs that were reported."""
        original = type(TASK).train

        def interrupt(at: int) -> list[str]:
            reported: list[str] = []

            def dying(self: Any, data: TrainingData, options: Any, run: Run) -> Trained:
                def report(what: str, done: float, figures: Mapping[str, float]) -> None:
                    reported.append(what)
                    if what == f"epoch {at}":
                        raise InterruptedTraining

                return original(self, data, options, replace(run, report=report))

            monkeypatch.setattr(type(TASK), "train", dying)
            return reported

        return interrupt

    def test_it_resumes_to_the_weights_of_an_undisturbed_one(self, fit, options, interrupted):
        fit(TASK, **options)
        undisturbed = files.digests(files.CANDIDATE)
        curves = (files.REPORTS / "train" / "curves.csv").read_bytes()
        fit()
        interrupted(2)
        with pytest.raises(InterruptedTraining):
            fit(TASK, **options)
        assert train_candidate().model == "mean-abs", "the candidate before it stays"
        reported = interrupted(99)
        fit(TASK, **options)
        assert reported[-2:] == ["epoch 3", "epoch 4"]
        assert "epoch 1" not in reported
        assert files.digests(files.CANDIDATE) == undisturbed
        assert (files.REPORTS / "train" / "curves.csv").read_bytes() == curves
        attempts = files.read_report("train_energy", TrainingEnergy).attempts
        assert [attempt.finished for attempt in attempts] == [False, True]
        assert list(CHECKPOINTS.iterdir()) == []

    @pytest.mark.parametrize("changed", ["options", "seed", "rows", "code"])
    def test_another_training_does_not_use_its_checkpoint(self, fit, options, interrupted, monkeypatch, changed):
        interrupted(1)
        with pytest.raises(InterruptedTraining):
            fit(TASK, **options)
        kept = set(CHECKPOINTS.glob("*/attempt-0001/step-*.safetensors"))
        other, seed = options, SEED
        if changed == "options":
            convolution = options["convolution"]
            other = options | {"convolution": convolution | {"learning_rate": convolution["learning_rate"] * 2}}
        elif changed == "seed":
            seed += 1
        elif changed == "rows":
            manifest = splits.read_manifest().model_copy(update={"dataset": "another"})
            files.write_text(files.PREPARED / splits.MANIFEST, manifest.to_json())
        else:
            sha256 = files.sha256
            monkeypatch.setattr(files, "sha256", lambda path: sha256(path) + "x" * (path.suffix == ".py"))
        with pytest.raises(InterruptedTraining):
            fit(TASK, seed=seed, **other)
        assert len(list(CHECKPOINTS.iterdir())) == 2
        assert kept
        assert kept < set(CHECKPOINTS.glob("*/attempt-0001/step-*.safetensors"))

    def test_one_that_somebody_put_there_from_another_training_is_refused(self, fit, options, interrupted):
        interrupted(1)
        with pytest.raises(InterruptedTraining):
            fit(TASK, **options)
        own = set(CHECKPOINTS.glob("*/attempt-*/step-*.safetensors"))
        with pytest.raises(InterruptedTraining):
            fit(TASK, seed=SEED + 1, **options)
        other = max(set(CHECKPOINTS.glob("*/attempt-*/step-*.safetensors")) - own)
        for mine in own:
            mine.unlink()
        other.rename(mine.parent / other.name)
        refused = rf"{other.name} is a checkpoint of training {other.parts[-3]}, and this is training {mine.parts[-3]}"
        with pytest.raises(InputError, match=refused):
            fit(TASK, **options)


class TestSignals:
    """What a scheduler, or somebody at a terminal, tells a training."""

    @pytest.fixture(autouse=True)
    def prepared(self, project):
        return project

    @pytest.fixture
    def options(self, block) -> dict[str, Any]:
        return knobs("convolution", block.train)

    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
    def test_a_training_keeps_what_it_has_and_goes_on_from_there(self, fit, options, number, monkeypatch):
        code = 75 if number == signal.SIGUSR1 else 128 + number
        fit(TASK, **options)
        undisturbed = files.digests(files.CANDIDATE), (files.REPORTS / "train" / "curves.csv").read_bytes()
        reported = at_epoch(1, lambda: os.kill(os.getpid(), number), monkeypatch)
        before = signal.getsignal(number)
        with pytest.raises(PausedError, match="is kept; start the training again and it goes on from there") as ended:
            fit(TASK, **options)
        assert ended.value.exit_code == code
        assert signal.getsignal(number) in (before, signal.SIG_IGN)
        told = len(reported)
        fit(TASK, **options)
        assert reported[told:][0] != "epoch 1", "it began anew"
        assert (files.digests(files.CANDIDATE), (files.REPORTS / "train" / "curves.csv").read_bytes()) == undisturbed

    def test_a_task_that_does_not_ask_is_ended_by_sigterm_at_once_and_not_by_the_notice(self, fit, logged):
        def tells(*numbers: int) -> Callable[[Trained], Trained]:
            def tell(trained: Trained) -> Trained:
                for number in numbers:
                    os.kill(os.getpid(), number)
                return trained

            return tell

        with pytest.raises(SystemExit) as ended:
            fit(Scorer(tells(signal.SIGUSR1, signal.SIGTERM)))
        assert ended.value.code == 143
        assert not files.CANDIDATE.exists()
        fit(Scorer(tells(signal.SIGUSR1)))
        assert files.CANDIDATE.exists()
        assert len(logged) == 1

    def test_one_that_asked_and_is_told_to_end_after_its_last_step_writes_nothing(self, fit, monkeypatch, logged):
        class Asks(Scorer):
            def train(self, data: TrainingData, options: Any, run: Run) -> Trained:
                run.checkpoints.due()
                os.kill(os.getpid(), signal.SIGTERM)
                return super().train(data, options, run)

        with pytest.raises(PausedError, match="ended by SIGTERM") as ended:
            fit(Asks())
        assert ended.value.exit_code == 143
        assert not files.CANDIDATE.exists()
        assert not logged


class TestSecondCopy:
    """A scheduler lost sight of a training that lives on, and started it again."""

    @pytest.fixture(autouse=True)
    def former(self, trained, logged, always_kept):
        logged.clear()
        before = files.digests(files.CANDIDATE), files.digests(files.REPORTS)
        yield
        assert (files.digests(files.CANDIDATE), files.digests(files.REPORTS)) == before
        assert not logged

    def begin_another(self) -> None:
        (folder,) = (path for path in CHECKPOINTS.iterdir() if (path / "attempt-0001").exists())
        (folder / "attempt-0002").mkdir()

    def test_the_former_one_keeps_nothing_from_then_on(self, fit, block, monkeypatch):
        kept: list[Path] = []

        def begin_another() -> None:
            self.begin_another()
            kept.extend(sorted(CHECKPOINTS.glob("*/attempt-0001/step-*")))

        at_epoch(2, begin_another, monkeypatch)
        with pytest.raises(SupersededError, match=r"attempt-0001 is superseded by attempt 2: a second copy") as ended:
            fit(TASK, **knobs("convolution", block.train))
        assert ended.value.exit_code == 4
        assert kept
        assert sorted(CHECKPOINTS.glob("*/attempt-*/step-*")) == kept

    def test_the_former_one_makes_no_candidate(self, fit):
        def late(trained: Trained) -> Trained:
            self.begin_another()
            return trained

        with pytest.raises(SupersededError, match="is superseded by attempt 2"):
            fit(Scorer(late))

    def test_the_former_one_logs_nothing_though_it_is_found_out_at_the_last_moment(self, fit, monkeypatch):
        make = golden.make

        def late(*arguments: Any) -> bytes:
            self.begin_another()
            return make(*arguments)

        monkeypatch.setattr(golden, "make", late)
        with pytest.raises(SupersededError, match="is superseded by attempt 2"):
            fit()

    def test_one_that_ended_counts_even_when_its_number_was_given_anew(self, fit, block, monkeypatch):
        def finish() -> None:
            for path in CHECKPOINTS.glob("*/attempt-0001/*"):
                path.unlink()
            Kept(path.parents[1] / "other")
            (path.parents[1] / "other" / "attempt-0001" / "attempt.json").rename(path.parent / "attempt.json")

        at_epoch(2, finish, monkeypatch)
        with pytest.raises(SupersededError, match="was removed while this training ran: another copy of it has ended"):
            fit(TASK, **knobs("convolution", block.train))


def at_epoch(number: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Act once, when the real task reports an epoch; gives the list of what is reported."""
    original, reported = type(TASK).train, []

    def acting(self: Any, data: TrainingData, options: Any, run: Run) -> Trained:
        def report(what: str, done: float, figures: Mapping[str, float]) -> None:
            if what == f"epoch {number}" and what not in reported:
                act()
            reported.append(what)
            run.report(what, done, figures)

        return original(self, data, options, replace(run, report=report))

    monkeypatch.setattr(type(TASK), "train", acting)
    return reported


def test_nothing_ever_loads_a_pickle():
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) pickle\b", text, re.MULTILINE)
        assert "allow_pickle=True" not in text
        assert text.count("torch.load(") == text.count("weights_only=True"), path


def test_a_tracking_server_that_fails_leaves_the_former_candidate_and_reports(project, fit, monkeypatch):
    fit()
    before = files.CANDIDATE.stat().st_ino, files.report_path("train").stat().st_ino

    def fail(*_: object, **__: object) -> None:
        raise WattlineError("no answer")

    monkeypatch.setattr("wattline.registry.tracking.log_training", fail)
    with pytest.raises(WattlineError, match="no answer"):
        fit()
    assert (files.CANDIDATE.stat().st_ino, files.report_path("train").stat().st_ino) == before
