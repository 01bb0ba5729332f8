"""A small project after `prepare`, with a task that is cheap to train, and a sweep over it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bakeoff.conftest import ROOT, clean, prepared_folder  # noqa: F401  # fixtures

TASK = ROOT / "tests" / "sweep" / "valley"
SPACE: dict[str, Any] = {"x": {"low": 0.0, "high": 10.0}, "nested.y": {"low": 0, "high": 4}}
SWEEP: dict[str, Any] = {
    "trials": 6,
    "workers": 1,
    "sampler": "random",
    "heartbeat_seconds": 0.5,
    "space": SPACE,
}


def written(sweep: dict[str, Any], train: dict[str, Any] | None = None) -> str:
    """params.yaml of the small project, with a comment that must survive."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = tree.pop("node_anomaly")
    tree.pop("node_power")
    block |= {"train": {"x": 8.0, "epochs": 3, "nested": {"y": 4}} | (train or {}), "presets": {}, "bakeoff": None}
    block["energy"]["meter"] = "estimate"
    block["sweep"] = SWEEP | sweep
    tree |= {"task": {"name": "valley", "folder": str(TASK)}, "valley": block}
    return "# kept: a person wrote this\n" + yaml.safe_dump(tree, sort_keys=False)


@pytest.fixture
def project(
    prepared_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean: None,  # noqa: F811
) -> Callable[..., Path]:
    """Make a copy of the project, with this sweep, the working directory."""

    def into(train: dict[str, Any] | None = None, **sweep: Any) -> Path:
        folder = tmp_path / "project"
        if not folder.exists():
            shutil.copytree(prepared_folder, folder)
        (folder / "params.yaml").write_text(written(sweep, train))
        monkeypatch.chdir(folder)
        return folder

    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT / 'tests'}")
    return into


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there, trials stay at work; it is not there yet."""
    monkeypatch.setenv("VALLEY_HOLD", str(tmp_path / "hold"))
    return tmp_path / "hold"
