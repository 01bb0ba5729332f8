"""card: the software that a model was made with is listed whole, goes where DVC keeps it, and is never stale."""

import json
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from stages.conftest import Scorer
from wattline import environment, files
from wattline.errors import WattlineError
from wattline.stages import card
from wattline.stages.card import CardReport

ROOT = Path(__file__).parents[2]
BILL = Path("model_cards/scorer.sbom.cdx.json")


@pytest.fixture
def write(finished, block) -> Callable[[], bytes]:
    """Run `card` and read the bill."""

    def run() -> bytes:
        card.run(card=block.card, task=Scorer())
        return BILL.read_bytes()

    return run


def test_every_installed_package_is_in_it_with_its_version(write):
    found = {one["name"].lower().replace("_", "-"): one["version"] for one in json.loads(write())["components"]}
    for name in ("numpy", "onnxruntime", "mlflow", "pydantic"):
        assert found[name] == metadata.version(name)
    assert set(found) >= set(environment.current().packages)


def test_it_is_about_this_task_and_python(write):
    subject = json.loads(write())["metadata"]["component"]
    assert subject["name"] == "scorer"
    assert "onnxruntime" in str(subject["properties"])


def test_the_report_names_its_bytes(write):
    write()
    assert files.read_report("card", CardReport).sbom_sha256 == files.sha256(BILL)


def test_equal_environments_give_equal_bytes(write):
    assert write() == write()


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_one_that_says_something_else_is_stale(write, block, change):
    content = write().decode()
    BILL.unlink()
    if change == "edit":
        BILL.write_text(content.replace("numpy", "nympy"))
    with pytest.raises(WattlineError, match=rf"{BILL} is stale: .*; run `dvc repro card`"):
        card.check(card=block.card, task=Scorer())


def test_dvc_caches_it_and_git_does_not_hold_it():
    outputs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["card"]["outs"]
    # What is an entry of its own, without options, is cached.
    assert [one for one in outputs if isinstance(one, str)] == [
        "model_cards/${task.name}.sbom.cdx.json",
        "data/croissant.json",
    ]
    ignored = ["git", "check-ignore", "--quiet", "model_cards/anything.sbom.cdx.json"]
    assert subprocess.run(ignored, cwd=ROOT, check=False).returncode == 0
    kept = ["git", "check-ignore", "--quiet", "model_cards/anything.cdx.json"]
    assert subprocess.run(kept, cwd=ROOT, check=False).returncode == 1
