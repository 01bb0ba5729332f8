"""docs/task.md: the example is a complete task, and the platform takes it from rows to a model card."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from wattline.stages import STAGES
from wattline.task import MEMBERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "task.md").read_text(encoding="utf-8")
SIMULATOR = {"nodes": 4, "nodes_per_rack": 2, "days": 2.0}
RUN_ALL = "import sys; from wattline import stages; [stages.run(stage) for stage in sys.argv[1:]]"


@pytest.fixture
def fork(tmp_path):
    """A project that follows the page: its example in a folder, and a copied block of params.yaml."""
    folder = tmp_path / "examples" / "distance"
    folder.mkdir(parents=True)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (folder / "task.py").write_text(example)
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = tree["node_anomaly"]
    block.pop("presets")
    block["ingest"] |= {"source": "simulator", "options": {"simulator": SIMULATOR}}
    block["train"] = {"largest": 10.0}
    block["gates"]["quality"]["metric"] = "auc_pr"
    shared = {name: tree[name] for name in ("seed", "registry", "serving", "monitoring")}
    task = {"name": "distance", "folder": "examples/distance"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"task": task, **shared, "distance": block}))
    return tmp_path


def test_the_page_explains_every_member_of_the_contract():
    explained = re.findall(r"^\| `(\w+)", PAGE, flags=re.MULTILINE)
    assert explained == list(MEMBERS)


@pytest.mark.slow
def test_the_example_runs_from_rows_to_a_model_card(fork):
    done = run(fork, *(stage for stage in STAGES if stage != "profile"))  # which asks no task anything
    assert done.returncode == 0, done.stderr
    verdicts = {one["name"]: one for one in json.loads((fork / "reports" / "decide.json").read_text())["verdicts"]}
    assert verdicts["integrity"]["passed"]
    assert verdicts["quality"]["value"] > 0
    assert "mean absolute deviation" in (fork / "model_cards" / "distance.md").read_text()


def test_an_example_without_a_baseline_is_refused_by_name(fork):
    source = fork / "examples" / "distance" / "task.py"
    source.write_text(source.read_text().replace("def baselines", "def simple_answers"))
    done = run(fork, "validate")
    assert done.returncode != 0
    assert "TASK lacks baselines; see wattline.task.Task" in done.stderr


def run(fork, *stages):
    """Run stages in the fork, in one process of their own."""
    command = [sys.executable, "-c", RUN_ALL, *stages]
    return subprocess.run(command, cwd=fork, capture_output=True, text=True, check=False)
