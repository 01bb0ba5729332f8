"""dvc.yaml: one word in seven places, and whatever makes an output is a dependency of it."""

import ast
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattline.stages import STAGES, sections

ROOT = Path(__file__).parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
BLOCKS = {name: values for name, values in PARAMS.items() if isinstance(values, dict) and "ingest" in values}
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SHARED = {"errors", "files", "params", "progress", "records", "settings", "splits", "stages", "task", "times"}
"""Modules through which every stage reads and writes: all of the pipeline would depend on each of them."""
ELSEWHERE = {"registry", "checkpoints", "sites", "interruption"}
"""What changes no output: `train` logs its run, each stage may be interrupted, and work may be done elsewhere."""
MORE_SECTIONS = {"energy", "emissions", "gates", "presets", "bakeoff", "sweep"}
"""Sections of a task's block that are no stage's name: what stages share or add, and what other verbs read."""


def resolved(stage: str, what: str) -> list[str]:
    """Entries of one list of a stage, as paths or names, for the task that params.yaml names."""
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in PIPELINE[stage].get(what, [])]
    task = PARAMS["task"]
    return [name.replace("${task.name}", task["name"]).replace("${task.folder}", task["folder"]) for name in names]


def test_what_people_add_is_seen_by_dvc_and_its_record_by_git(tmp_path: Path):
    """DVC leaves out every folder that .gitignore hides, or that it takes to be hidden."""
    for ignored in (Path(".gitignore"), Path("data/external/.gitignore")):
        (tmp_path / ignored).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / ignored, tmp_path / ignored)

    def said(*command: str) -> list[str]:
        answer = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return answer.stdout.splitlines()

    said("git", "init", "--quiet")
    said(sys.executable, "-m", "dvc", "init", "--quiet")
    added = ["data/external/site.csv", "data/snapshots/0a"]
    for name, file in zip(added, ("", "snapshot.json"), strict=True):
        (tmp_path / name / file).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name / file).write_text("rows\n")
        said(sys.executable, "-m", "dvc", "add", "--quiet", name)
    stages = said(sys.executable, "-m", "dvc", "stage", "list", "--all", "--name-only")
    assert sorted(stages) == [f"{name}.dvc" for name in added]
    status = said("git", "status", "--porcelain", "--untracked-files=all")
    assert [line[3:] for line in status if line.startswith("?? data")] == [
        "data/external/.gitignore",
        "data/external/site.csv.dvc",
        "data/snapshots/0a.dvc",
    ]


class TestOneWord:
    """A stage is called the same wherever it is spoken of."""

    def test_the_pipeline_and_the_platform_have_the_same_stages_in_the_same_order(self):
        assert tuple(PIPELINE) == STAGES

    def test_each_is_a_module(self):
        modules = {path.stem for path in (ROOT / "src" / "wattline" / "stages").glob("*.py")} - {"__init__"}
        assert modules == set(STAGES)

    @pytest.mark.parametrize("block", BLOCKS)
    def test_each_is_a_section_of_every_tasks_block(self, block):
        assert set(BLOCKS[block]) - MORE_SECTIONS == set(STAGES)
        assert {"gates", "energy"} <= set(BLOCKS[block])

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_has_its_tests(self, stage):
        assert list((ROOT / "tests").rglob(f"test_{stage}.py"))

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_writes_its_report(self, stage):
        assert f"reports/{stage}.json" in resolved(stage, "metrics")

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_has_a_heading_in_the_docs(self, stage):
        assert f"\n## {stage}\n" in (ROOT / "docs" / "pipeline.md").read_text()

    def test_no_other_word_is_used_in_ci(self):
        folder = ROOT / "ci"
        if not folder.is_dir():
            pytest.skip("there is no ci/ yet")
        run = [word for path in folder.rglob("*.y*ml") for word in _stages_that_run(path.read_text())]
        assert set(run) <= set(STAGES)

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_is_run_by_its_name(self, stage):
        assert PIPELINE[stage]["cmd"] == f"wattline run {stage}"


def _stages_that_run(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.replace('"', " ").replace("'", " ").split()
        for index, word in enumerate(words[:-2]):
            if (word, words[index + 1]) == ("wattline", "run"):
                yield words[index + 2]


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_the_parameters_of_its_function(stage):
    block, names = f"{PARAMS['task']['name']}.", resolved(stage, "params")
    # `gates.energy` is a part of the section `gates`: all of it may be handed in, and only this part is read.
    asked = {name.removeprefix(block).split(".")[0] for name in names}
    assert sorted(asked) == sorted(sections(stage))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_there(stage):
    for name in resolved(stage, "params"):
        value = PARAMS
        for key in name.split("."):
            assert key in value, name
            value = value[key]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_takes_keywords_alone_and_returns_nothing(stage):
    signature = inspect.signature(import_module(f"wattline.stages.{stage}").run)
    assert {parameter.kind for parameter in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert signature.return_annotation in (None, "None")


class TestDependencies:
    """What changes an output makes it anew."""

    @pytest.mark.parametrize("stage", STAGES)
    def test_they_cover_the_code_that_a_stage_imports(self, stage):
        covered = [ROOT / path for path in resolved(stage, "deps")]
        missing = [
            str(path.relative_to(ROOT))
            for path in sorted(imported(f"wattline.stages.{stage}"))
            if not any(path == dependency or dependency in path.parents for dependency in covered)
        ]
        assert missing == []

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_stage_that_asks_for_the_task_depends_on_its_folder(self, stage):
        assert ("task" in sections(stage)) == (PARAMS["task"]["folder"] in resolved(stage, "deps"))

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_is_there_or_made_by_an_earlier_stage(self, stage):
        earlier = STAGES[: STAGES.index(stage)]
        made = [Path(path) for one in earlier for what in ("outs", "metrics", "plots") for path in resolved(one, what)]
        for dependency in map(Path, resolved(stage, "deps")):
            inside = any(dependency == path or path in dependency.parents for path in made)
            assert inside or (ROOT / dependency).exists(), dependency

    def test_nothing_is_made_twice(self):
        made = [path for stage in STAGES for what in ("outs", "metrics", "plots") for path in resolved(stage, what)]
        assert len(made) == len(set(made))

    @pytest.mark.parametrize("stage", STAGES)
    def test_the_run_cache_takes_it(self, stage):
        """DVC keeps no run of a stage with an output that persists, without a dependency or without an output."""
        entries = [entry for what in ("outs", "metrics", "plots") for entry in PIPELINE[stage].get(what, [])]
        assert entries
        assert PIPELINE[stage]["deps"]
        for entry in entries:
            assert isinstance(entry, str) or not any("persist" in flags for flags in entry.values())


def imported(module: str) -> set[Path]:
    """Files of all modules that `module` imports, directly or not, without those that every stage shares."""
    found: set[Path] = set()
    todo = [module]
    while todo:
        for name in _imports(todo.pop()):
            path = _path(name)
            if path is not None and path not in found and name.split(".")[1] not in SHARED | ELSEWHERE:
                found.add(path)
                todo.append(name)
    return found


def _imports(module: str) -> Iterator[str]:
    """Dotted names that `module` imports from the platform, wherever in it."""
    path = _path(module)
    assert path is not None
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[Any] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.startswith("wattline."))


def _path(module: str) -> Path | None:
    """File of a dotted name; None for what is no module but a name in one."""
    path = ROOT / "src" / Path(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)
