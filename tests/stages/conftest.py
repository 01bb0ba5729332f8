"""A small project: simulated rows of three nodes, the example's own task, and one that trains in no time."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import mean_abs, scorer
from numpy.typing import NDArray

from wattline import files, params
from wattline.params import Block, EvaluateParams, IngestParams, MeasureParams, PrepareParams
from wattline.records import Candidate, Champion, Dataset, Description, Metric, Record, Validation
from wattline.settings import settings
from wattline.sources import tiny
from wattline.stages import decide, evaluate, ingest, measure, prepare, train
from wattline.task import Outputs, Predictor, Run, Series, Task, Trained, TrainingData

ROOT = Path(__file__).parents[2]
CLUSTER = tiny.CLUSTER.model_dump(include={"nodes", "nodes_per_rack", "days"})
SEED = tiny.SEED
STEPS = 4


class ScorerOptions(Record):
    """The `train` section of `Scorer`."""

    curves: Sequence[Mapping[str, float]] = ({"loss": 2.0}, {"loss": 1.0})


class Scorer:
    """A task whose model is the mean absolute value of a window: real stages around it, in milliseconds.

    trains: what a test makes of the trained model before it is handed out
    """

    description = Description(
        name="scorer",
        purpose="Scores windows.",
        intended_use="Tests of stages.",
        out_of_scope="Everything else.",
        limits="It learns nothing.",
        output="mean absolute value",
        output_unit="1",
        metrics=(
            Metric(name="separation", unit="1", higher_is_better=True, description="mean score of anomalies - normal"),
            Metric(name="mean_score", unit="1", higher_is_better=False, description="mean score"),
        ),
    )
    options = ScorerOptions

    def __init__(self, trains: Callable[[Trained], Trained] = lambda trained: trained) -> None:
        self.trains = trains

    def expectations(self, dataset: Dataset) -> Sequence[Any]:
        return []

    def target(self, series: Series) -> NDArray[np.float64]:
        return series.target

    def train(self, data: TrainingData, options: ScorerOptions, run: Run) -> Trained:
        run.report("all", 1.0, {})
        graph = scorer(data.columns, steps=STEPS, optional=False)
        return self.trains(
            Trained(
                model="mean-abs",
                graph=graph.SerializeToString(),
                steps=STEPS,
                tensors={"centers": np.arange(3, dtype=np.float32)},
                reference=lambda windows, units: {"score": mean_abs(windows, units)},
                output_units={"score": "1"},
                curves=options.curves,
            )
        )

    def baselines(self, data: TrainingData, options: ScorerOptions) -> Mapping[str, Predictor]:
        return {"constant": lambda series: {"score": np.zeros(len(series), np.float32)}}

    def score(self, truth: Series, outputs: Outputs, *, cadence_seconds: float) -> Mapping[str, float]:
        score, anomalous = outputs["score"], truth.target == 1
        separation = score[anomalous].mean() - score[~anomalous].mean() if anomalous.any() else np.nan
        return {"separation": float(separation), "mean_score": float(score.mean())}


@pytest.fixture(scope="session")
def block() -> Block:
    """Every knob of the project's own params.yaml."""
    return params.load(ROOT / "params.yaml").block


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `prepare`. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("prepared")
    with contextlib.chdir(folder):
        ingest.run(ingest=IngestParams(source="tiny"), seed=SEED)
        prepare.run(prepare=small_splits(), task=Scorer())
    return folder


def small_splits() -> PrepareParams:
    return PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=50, gap_steps=0)


def few_resamples() -> EvaluateParams:
    return EvaluateParams(resamples=100, noise=0.1, missing=0.05)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of the person who runs the tests."""
    for name in ("WATTLINE_DATA_MIRROR", "WATTLINE_STATE", "MLFLOW_TRACKING_URI", "CI", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def trained_folder(prepared_folder: Path, tmp_path_factory: pytest.TempPathFactory, block: Block) -> Path:
    """A project after `train` with `Scorer`. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared_folder, folder)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.tracking, "log_training", lambda *_, **__: "run")
        train.run(train={}, energy=block.energy, seed=SEED, task=Scorer())
    return folder


@pytest.fixture(scope="session")
def finished_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory, block: Block) -> Path:
    """A project after `decide`. What `validate` found is written by hand. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(trained_folder, folder)
    with contextlib.chdir(folder):
        dataset = files.read_record(files.RAW / "dataset.json", Dataset)
        report = Validation(data=dataset.id, rows=dataset.rows, units=len(dataset.units), expectations=5)
        files.write_report("validate", report)
        evaluate.run(evaluate=few_resamples(), train={}, seed=SEED, task=Scorer())
        measure.run(measure=few_windows(block), **measuring(block))
        decide.run(gates=block.gates, decide=block.decide, measure=block.measure)
    return folder


def few_windows(block: Block) -> MeasureParams:
    """As little as says anything: an energy test of four short blocks, and no server."""
    session = {
        "minimum_blocks": 4,
        "maximum_blocks": 4,
        "sample_seconds": 0.02,
        "idle_seconds": 0.1,
        "idle_drift": 10.0,
    }
    update = {"windows": 100, "repeats": 3, "batch": 32, "serving": None}
    update |= {"session": block.measure.session.model_copy(update=session)}
    return block.measure.model_copy(update=update)


def measuring(block: Block) -> dict[str, Any]:
    """What `measure.run` wants beside its own knobs, for `Scorer`."""
    serving = params.load(ROOT / "params.yaml").serving
    return {
        "energy": block.energy,
        "gates": block.gates,
        "serving": serving,
        "train": {},
        "seed": SEED,
        "task": Scorer(),
    }


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> Callable[[Path], Path]:
    """Make a copy of a project the working directory."""

    def into(folder: Path) -> Path:
        copy = tmp_path / "project"
        shutil.copytree(folder, copy)
        monkeypatch.chdir(copy)
        return copy

    return into


@pytest.fixture
def project(enter: Callable[[Path], Path], prepared_folder: Path) -> Path:
    """A project after `prepare`, which is also the working directory."""
    return enter(prepared_folder)


@pytest.fixture
def trained(enter: Callable[[Path], Path], trained_folder: Path) -> Path:
    """A project after `train`, which is also the working directory."""
    return enter(trained_folder)


@pytest.fixture
def finished(enter: Callable[[Path], Path], finished_folder: Path) -> Path:
    """A project after `decide`, which is also the working directory: everything that a card is made from."""
    return enter(finished_folder)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `train` logged, instead of a run in MLflow."""
    calls: list[dict[str, Any]] = []

    def log_training(candidate: Any, **arguments: Any) -> str:
        calls.append({"candidate": candidate} | arguments)
        return "run"

    monkeypatch.setattr(train.tracking, "log_training", log_training)
    return calls


@pytest.fixture
def fit(logged: list[dict[str, Any]], block: Block) -> Callable[..., None]:
    """Run `train` with a task and its options in the working directory."""

    def run(task: Task | None = None, *, seed: int = SEED, **options: Any) -> None:
        train.run(train=options, energy=block.energy, seed=seed, task=task or Scorer())

    return run


def promote_candidate() -> Champion:
    """Make the candidate the champion, as `wattline champion` leaves it."""
    champion = Champion(version="1", digest=train_candidate().digest)
    shutil.copytree(files.CANDIDATE, files.CHAMPION)
    files.write_text(files.CHAMPION / "champion.json", champion.to_json())
    return champion


def train_candidate(folder: Path = files.CANDIDATE) -> Candidate:
    """The record of the candidate in the working directory."""
    return files.read_record(folder / "candidate.json", Candidate)


def with_reference(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Callable[[Trained], Trained]:
    """A change of a trained model: what it says itself differs from its graph."""

    def changed(trained: Trained) -> Trained:
        return replace(trained, reference=lambda windows, units: change(trained.reference(windows, units)))

    return changed
