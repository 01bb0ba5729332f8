"""Checks: what a commit must pass is what `make check` asks, and the layers that are enforced really are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOOKS = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
    if repository["repo"] == "local"
]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_hooks_need_no_network():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in HOOKS} == {"system"}


def test_every_tool_of_make_check_is_a_hook():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE).group(1)
    entries = " ".join(hook["entry"] for hook in HOOKS)
    tools = ("ruff check .", "ruff format --check .", "mypy src", "lint-imports", "shellcheck")
    assert [tool for tool in tools if tool not in recipe] == []
    assert [tool for tool in tools if tool not in entries] == []


def lint(package, tmp_path):
    """Exit code and report of import-linter, with `package` as the second task."""
    (tmp_path / "tabular").mkdir()
    (tmp_path / "tabular" / "__init__.py").touch()
    (tmp_path / "tabular" / "task.py").write_text(package)
    command = [LINT_IMPORTS, "--no-logo", "--no-cache", "--config", ROOT / ".importlinter"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_layers_hold_with_a_task_that_keeps_to_the_contract(tmp_path):
    code, report = lint("from wattline.task import Task\nfrom wattline.records import Dataset\n", tmp_path)
    assert code == 0, report


@pytest.mark.parametrize("line", ["import wattline.files", "from wattline import stages", "from project import task"])
def test_a_task_that_reaches_further_breaks_the_layers(line, tmp_path):
    code, report = lint(f"{line}\n", tmp_path)
    assert code == 1
    assert "tabular.task ->" in report
