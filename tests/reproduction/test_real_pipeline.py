"""The real pipeline, on a cluster of four nodes: the same bytes from a clean worktree, and a changed sum is found."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reproduction import tiny
from wattline import files, splits
from wattline.records import Candidate
from wattline.reproduction import Recipe, environment, report, reproduce
from wattline.settings import settings
from wattline.stages import STAGES

# The job `nightly`, executed in tests/gitlab/execute, does the same with the promoted model.
pytestmark = [pytest.mark.slow, pytest.mark.nightly]

ROOT = Path(__file__).parents[2]
MADE = ("dvc.lock", "reports/", "model_cards/", "champion/champion.json", "champion/candidate.json")


def small(block: Any) -> None:
    """A cluster of four nodes for two days, and little of everything."""
    block["ingest"] = {"source": "simulator", "options": {"simulator": {"nodes": 4, "nodes_per_rack": 2, "days": 2}}}
    block["profile"]["rows"] = 1000
    block["train"]["model"] = "linear"
    block["evaluate"]["resamples"] = 100
    block["measure"] |= {"windows": 100, "repeats": 3}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe]:
    """A repository of the working tree in which the pipeline ran, and what a registry would say of it."""
    folder = tmp_path_factory.mktemp("version") / "project"
    for name in tiny.git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        made = name.startswith(MADE) and not name.endswith(".gitignore")
        if name and not made and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    tree = yaml.safe_load((folder / "params.yaml").read_text())
    small(tree[tree["task"]["name"]])
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    tiny.git(folder, "init", "--quiet")
    commit = tiny.commit(folder)
    tiny.dvc(folder, "repro")
    candidate = Candidate.from_json((folder / "models/candidate/candidate.json").read_bytes())
    recipe = Recipe(
        name="node_anomaly-simulator",
        version="1",
        commit=commit,
        dirty=False,
        data=splits.read_dataset(folder / files.RAW).id,
        dataset=candidate.dataset,
        candidate=candidate,
        lock=(folder / "dvc.lock").read_text(),
        params=(folder / "params.yaml").read_text(),
        environment=environment.installed(Path(sys.executable), folder),
    )
    return folder, recipe


@pytest.fixture(autouse=True)
def here(version, monkeypatch):
    settings.cache_clear()
    monkeypatch.chdir(version[0])
    yield
    assert len(tiny.git(version[0], "worktree", "list").splitlines()) == 1


def test_every_stage_gives_the_registered_bytes_again_also_when_the_rows_are_read_anew(version):
    folder, recipe = version
    raw = files.digests(folder / files.RAW)
    for path in (folder / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and files.sha256(path) in raw.values():
            path.unlink()
    said: list[str] = []
    result = reproduce(recipe, say=said.append)
    assert result.identical, "\n".join(report.lines(result))
    assert result.data == "ingested again"
    assert (result.interpreter, result.environment, result.sources) == ("current", (), ())
    assert list(dict.fromkeys(one.stage for one in result.outputs)) == list(STAGES)
    assert [line for line in said if line.startswith("Running stage ")] == [f"Running stage '{one}':" for one in STAGES]
    measured = {one.path for one in result.outputs if one.outcome == "measured"}
    assert {"reports/train_energy.json", "reports/measure.json"} <= measured
    assert not any(path.startswith(("data/", "models/", "reports/evaluate")) for path in measured)


def test_a_changed_sum_is_found_at_training_with_its_size(version):
    folder, recipe = version
    source = folder / "src/project/least_squares.py"
    text = source.read_text()
    assert text.count("self.moment += past.mT @ present") == 1
    source.write_text(text.replace("self.moment += past.mT @ present", "self.moment += 1.001 * (past.mT @ present)"))
    result = reproduce(recipe.model_copy(update={"commit": tiny.commit(folder)}), say=lambda _: None)
    assert (result.identical, result.first) == (False, "train")
    details = next(one.details for one in result.outputs if one.path == "models/candidate")
    for name in ("model.onnx", "weights.safetensors"):
        assert any(one.startswith(f"{name}: ") and "largest absolute difference" in one for one in details)
    outcomes = {one.path: one.outcome for one in result.outputs}
    assert outcomes["data/prepared"] == "identical"
    assert outcomes["reports/evaluate.json"] == "different"
    assert "src/project modified" in result.sources
