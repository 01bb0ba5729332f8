"""A version made again from end to end, in a tiny project: found identical or not, and nothing else is touched."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reproduction import tiny
from wattline import files
from wattline.errors import WattlineError
from wattline.reproduction import Options, reproduce

pytestmark = pytest.mark.slow

TREE = ("dvc.lock", "data", "models", "reports", "champion", "src", ".dvc/cache")

SLOW_TRAIN = """
import os, pathlib, time
pathlib.Path(os.environ["TINY_STARTED"]).write_text(f"{os.getpid()} {pathlib.Path.cwd()}")
time.sleep(600)
"""

PROGRAM = """
import sys
from pathlib import Path
from wattline.reproduction import Recipe, reproduce
reproduce(Recipe.from_json(Path(sys.argv[1]).read_bytes()))
"""


def snapshot(project):
    """Every file of the user's tree, by its digest."""
    return {
        name: files.digests(project / name) if (project / name).is_dir() else files.sha256(project / name)
        for name in TREE
    }


def test_a_version_is_identical_and_the_users_tree_untouched(project, monkeypatch):
    recipe = tiny.recipe(project, environment=tiny.nowhere())
    (project / "src/train.py").write_text("raise SystemExit('not committed')")
    monkeypatch.setenv("WATTLINE_STATE", str(project / "state"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before, status = snapshot(project), tiny.git(project, "status", "--porcelain", "--ignored")
    said = []
    result = reproduce(recipe, say=said.append)
    assert (result.identical, result.exit_code, result.first) == (True, 0, None)
    assert (result.data, result.interpreter, result.champion, result.sources) == ("cache", "current", "none", ())
    assert {one.path: one.outcome for one in result.outputs} == {
        "data/raw": "identical",
        "models/candidate": "identical",
        "reports/train.json": "identical",
        "reports/train_energy.json": "measured",
        "reports/evaluate.json": "identical",
    }
    assert {one.name for one in result.environment} == {"python", "platform", "requirements/core.lock", "pydantic"}
    assert "Running stage 'train':" in said
    assert not any("cached" in line or "skipping" in line for line in said)
    assert snapshot(project) == before
    assert tiny.git(project, "status", "--porcelain", "--ignored") == status


def test_other_code_is_found_at_its_stage_with_the_size_of_the_difference(project):
    for path in (project / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and files.sha256(path) == files.sha256(project / "data/raw/node-2.parquet"):
            path.unlink()
    lock = tiny.recipe(project).lock
    train = project / "src/train.py"
    train.write_text(train.read_text().replace("value.mean() for", "value.mean() + 0.125 for"))
    commit = tiny.commit(project)
    result = reproduce(tiny.recipe(project, lock=lock, commit=commit), say=lambda _: None)
    assert (result.identical, result.exit_code, result.first) == (False, 1, "train")
    assert result.data == "ingested again"
    outcomes = {one.path: one.outcome for one in result.outputs}
    assert outcomes["data/raw"] == outcomes["reports/ingest.json"] == outcomes["reports/train.json"] == "identical"
    assert outcomes["models/candidate"] == outcomes["reports/evaluate.json"] == "different"
    details = next(one.details for one in result.outputs if one.path == "models/candidate")
    assert any("largest absolute difference 0.125 in center" in detail for detail in details)
    assert "src/train.py modified" in result.sources


def test_a_stage_that_fails_is_named_and_a_kept_worktree_holds_what_was_made_before(project):
    (project / "src/evaluate.py").write_text("raise SystemExit('no score today')")
    recipe = tiny.recipe(project, commit=tiny.commit(project))
    said = []
    with pytest.raises(WattlineError, match=r"dvc repro ended with exit code \d+ in stage evaluate, .* `--keep`"):
        reproduce(recipe, options=Options(keep=True, environment="current"), say=said.append)
    assert any("no score today" in line for line in said)
    kept = Path(next(line for line in said if line.startswith("kept: ")).split()[1].rstrip(";"))
    assert files.digests(kept / "models") == files.digests(project / "models")
    shutil.rmtree(kept.parent)
    tiny.git(project, "worktree", "prune")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_nothing_runs_on_and_nothing_is_left(project, tmp_path, number):
    (project / "src/train.py").write_text(SLOW_TRAIN)
    recipe, started = tmp_path / "recipe.json", tmp_path / "started"
    recipe.write_text(tiny.recipe(project, commit=tiny.commit(project)).to_json())
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(recipe)],
        env=os.environ | {"TINY_STARTED": str(started), "TMPDIR": str(tmp_path / "temporary")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (started.is_file() and started.read_text().count(" ")):
            assert process.poll() is None
            time.sleep(0.05)
        stage, _, folder = started.read_text().partition(" ")
        assert (Path(folder) / "dvc.yaml").is_file()
        process.send_signal(number)
        assert process.wait() != 0
    finally:
        process.kill()
        process.wait()
    while Path(f"/proc/{stage}/stat").exists() and " Z " not in Path(f"/proc/{stage}/stat").read_text():
        time.sleep(0.05)
    assert not Path(folder).exists()
