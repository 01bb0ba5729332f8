"""A small project after `prepare`, whose task has models of every kind."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattline import params
from wattline.bakeoff import running
from wattline.params import IngestParams, PrepareParams
from wattline.settings import settings
from wattline.stages import ingest, prepare

ROOT = Path(__file__).parents[2]
TASK = ROOT / "tests" / "bakeoff" / "contestants"
CHEAP: dict[str, Any] = {"answers": "right"}
DEAR: dict[str, Any] = {"answers": "right", "layers": 60}
WRONG: dict[str, Any] = {"answers": "wrong"}
MODELS = {"wrong": WRONG, "dear": DEAR, "cheap": CHEAP}
ACCURATE: dict[str, Any] = {"choose": "accuracy", "budget_joules": 1e6}


def written(models: Mapping[str, Any], rule: Mapping[str, Any] = ACCURATE) -> str:
    """params.yaml of the small project, with a comment that must survive."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = tree.pop("node_anomaly")
    tree.pop("node_power")
    block |= {"train": {"answers": "wrong", "layers": 0, "nested": {"a": 1, "b": 2}}, "presets": {}}
    block["evaluate"]["resamples"] = 100
    block["measure"] |= {"windows": 100, "repeats": 3, "batch": 32}
    block["measure"]["session"] |= {
        "minimum_blocks": 4,
        "maximum_blocks": 4,
        "sample_seconds": 0.05,
        "idle_seconds": 0.1,
        "idle_drift": 10.0,  # other tests run beside
    }
    block["bakeoff"] = {"models": dict(models), "rule": dict(rule)}
    tree |= {"task": {"name": "contestants", "folder": str(TASK)}, "contestants": block}
    return "# kept: a person wrote this\n" + yaml.safe_dump(tree, sort_keys=False)


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `prepare`. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("prepared")
    cluster = {"nodes": 3, "nodes_per_rack": 2, "days": 0.4}
    (folder / "params.yaml").write_text(written({"cheap": CHEAP}))
    with contextlib.chdir(folder):
        ingest.run(ingest=IngestParams(source="simulator", options={"simulator": cluster}), seed=7)
        task = params.load_task(params.load().task)
        prepare.run(prepare=PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=50), task=task)
    return folder


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of the person who runs the tests."""
    for name in ("WATTLINE_DATA_MIRROR", "WATTLINE_STATE", "MLFLOW_TRACKING_URI", "CI", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def finished_folder(prepared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after a bake-off of MODELS. Copy it, do not change it: in a copy, nothing has to be run again."""
    folder = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(prepared_folder, folder)
    (folder / "params.yaml").write_text(written(MODELS))
    with contextlib.chdir(folder):
        running.run(say=lambda line: None)
    return folder


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> Callable[..., Path]:
    """Make a copy of a project, with these models and this rule, the working directory."""

    def into(folder: Path, models: Mapping[str, Any], rule: Mapping[str, Any] = ACCURATE) -> Path:
        copy = tmp_path / "project"
        shutil.copytree(folder, copy)
        (copy / "params.yaml").write_text(written(models, rule))
        monkeypatch.chdir(copy)
        return copy

    return into


@pytest.fixture
def project(enter: Callable[..., Path], prepared_folder: Path) -> Callable[..., Path]:
    """A project in which no model was run so far."""
    return partial(enter, prepared_folder)


@pytest.fixture
def finished(enter: Callable[..., Path], finished_folder: Path) -> Callable[..., Path]:
    """A project in which MODELS were run."""
    return partial(enter, finished_folder)
