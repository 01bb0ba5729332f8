"""params: whatever is wrong in params.yaml is said in one line that names the key, the value and the remedy."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattline import params
from wattline.errors import InputError
from wattline.params import Block, Section, TaskParams, load, load_task, typed

ROOT = Path(__file__).parents[2]
TREE = yaml.safe_load((ROOT / "params.yaml").read_text())
NAME = TREE["task"]["name"]

Tree = dict[str, Any]


@pytest.fixture
def edited(tmp_path, monkeypatch) -> Callable[[Callable[[Tree], object]], Path]:
    """Write the project's own params.yaml with one edit. `block` of the edited tree is the task's block."""
    monkeypatch.chdir(tmp_path)

    def edit(change: Callable[[Tree], object]) -> Path:
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        change(tree)
        params.FILE.write_text(yaml.safe_dump(tree, sort_keys=False))
        return params.FILE

    return edit


def refused(call: Callable[[], object]) -> str:
    """The line that a person sees."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def put(*path: Any) -> Callable[[Tree], None]:
    """An edit that sets the value at a path of keys; the last of `path` is the value."""
    *keys, last, value = path

    def change(tree: Tree) -> None:
        for key in keys:
            tree = tree[key]
        tree[last] = value

    return change


def drop(*path: Any) -> Callable[[Tree], None]:
    *keys, last = path

    def change(tree: Tree) -> None:
        for key in keys:
            tree = tree[key]
        del tree[last]

    return change


def test_the_projects_own_file_is_good():
    loaded = load(ROOT / "params.yaml")
    assert loaded.task.name == NAME
    assert loaded.section("validate") is loaded.block.validate_
    assert loaded.section("seed") == TREE["seed"]
    assert loaded.section("gates") is loaded.block.gates
    assert loaded.section("task") is loaded.task


def test_the_message_of_the_style_guide(edited):
    edited(put(NAME, "gates", "energy", "budget_joules", -1))
    assert refused(load) == f"params.yaml: {NAME}.gates.energy.budget_joules must be > 0, got -1"


WRONG = {
    "unknown section": (put("sead", 1), ["params.yaml: sead is not a known key, got 1", "known: ", "seed"]),
    "unknown shared key": (put("serving", "prot", 1), ["serving.prot is not a known key, got 1"]),
    "unknown stage": (
        put(NAME, "training", {}),
        [f"{NAME}.training is not a known key", "known: ", "train", "validate"],
    ),
    "unknown key": (put(NAME, "prepare", "minimum_row", 5), [f"{NAME}.prepare.minimum_row is not a known key, got 5"]),
    "unknown gate": (put(NAME, "gates", "speed", {}), [f"{NAME}.gates.speed is not a known key, got {{}}"]),
    "unknown limit": (put(NAME, "gates", "energy", "budget", 3), [f"{NAME}.gates.energy.budget is not a known key"]),
    "the platform's own name": (put("block", 5), ["params.yaml: block must be", "got 5"]),
    "an empty block": (put("block", {}), ["params.yaml: block.ingest is missing"]),
    "python's name of a section": (put(NAME, "validate_", {}), [f"{NAME}.validate_ is not a known key"]),
    "missing section": (drop(NAME, "measure"), [f"{NAME}.measure is missing; add it"]),
    "missing shared section": (drop("serving"), ["params.yaml: serving is missing; add it"]),
    "missing seed": (drop("seed"), ["params.yaml: seed is missing; add it"]),
    "missing limit": (drop(NAME, "gates", "latency", "p99_ms"), [f"{NAME}.gates.latency.p99_ms is missing; add it"]),
    "text for a number": (put("seed", "seven"), ["params.yaml: seed must be a valid integer", "got 'seven'"]),
    "number for text": (put("serving", "host", 7), ["serving.host must be a valid string, got 7"]),
    "fraction for a count": (put(NAME, "measure", "repeats", 3.5), [f"{NAME}.measure.repeats must be", "got 3.5"]),
    "list for a mapping": (put(NAME, "gates", []), [f"{NAME}.gates must be a valid dictionary", "got []"]),
    "nothing for a mapping": (put(NAME, "card", None), [f"{NAME}.card must be", "got None"]),
    "negative seed": (put("seed", -1), ["params.yaml: seed must be >= 0, got -1"]),
    "share over 1": (put(NAME, "evaluate", "missing", 1.5), [f"{NAME}.evaluate.missing must be <= 1, got 1.5"]),
    "whole span for test": (put(NAME, "prepare", "test_fraction", 1), ["prepare.test_fraction must be < 1, got 1"]),
    "too few resamples": (put(NAME, "evaluate", "resamples", 1), ["evaluate.resamples must be >= 100, got 1"]),
    "empty owner": (put(NAME, "card", "owner", ""), ["card.owner must", "got ''"]),
    "advice on integrity": (
        put(NAME, "decide", "advisory", ["integrity"]),
        ["decide.advisory.0 must be", "'integrity'"],
    ),
    "unknown evidence": (put(NAME, "gates", "energy", "evidence", "guessed"), ["energy.evidence must be 'measured'"]),
    "no budget": (put(NAME, "gates", "energy", "budget_joules", 0), ["energy.budget_joules must be > 0, got 0"]),
    "a negative budget of training": (
        put(NAME, "gates", "energy", "training_budget_kwh", -0.5),
        ["energy.training_budget_kwh must be > 0, got -0.5"],
    ),
    "a margin that is missing": (drop(NAME, "gates", "energy", "margin"), [f"{NAME}.gates.energy.margin is missing"]),
    "a negative margin": (put(NAME, "gates", "energy", "margin", -0.1), ["energy.margin must be > 0, got -0.1"]),
    "a margin of nothing": (put(NAME, "gates", "energy", "margin", 0), ["energy.margin must be > 0, got 0"]),
    "a risk of everything": (put(NAME, "gates", "energy", "alpha", 1), ["energy.alpha must be < 0.5, got 1"]),
    "a budget without end": (put(NAME, "gates", "energy", "budget_joules", math.inf), ["budget_joules must be", "inf"]),
    "a limit that nothing is": (
        put(NAME, "gates", "quality", "limit", math.nan),
        ["gates.quality.limit must be", "nan"],
    ),
    "bad port": (put("serving", "port", 70000), ["serving.port must be <= 65535, got 70000"]),
    "task without a block": (put("task", "name", "other"), ["task.name is 'other'", NAME]),
    "name that is no text": (put("task", "name", ["a"]), ["task.name is ['a']", NAME]),
    "task that is no mapping": (put("task", "node"), ["task", NAME]),
    "no task": (drop("task"), ["task.name is None", NAME]),
    "unknown key of the task": (put("task", "path", "x"), ["params.yaml: task.path is not a known key"]),
    "keys that are no text": (put(1, {"a": 1}), ["params.yaml: 1"]),
    "line break in a value": (put("seed", "a\nb"), ["params.yaml: seed must be", r"'a\nb'"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(edited, case):
    change, parts = WRONG[case]
    edited(change)
    message = refused(load)
    assert message.startswith("params.yaml: ")
    for part in parts:
        assert part in message


WORD = "hunter2"
NAMED = f"reader:{WORD}"
SERVER = {"url": "https://example.org", "query": "watts", "boundary": "the node", "interval_seconds": 1}


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("prometheus",), SERVER | {"password": WORD}),
        (("token",), WORD),
        (("promtheus",), SERVER | {"url": f"https://{NAMED}@example.org"}),
        (("prometheus",), SERVER | {"url": f"https://{NAMED}@example.org"}),
        (("prometheus",), SERVER | {"url": f"{NAMED}@example.org"}),
    ],
)
def test_credentials_are_refused_and_not_shown(edited, keys, value):
    edited(put(NAME, "energy", *keys, value))
    message = refused(load)
    assert "its value is not shown" in message
    assert WORD not in message


def test_a_wrong_block_of_a_task_that_does_not_run_is_found_too(edited):
    edited(put("other_task", {"ingest": {}}))
    assert refused(load).startswith("params.yaml: other_task.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "must hold a mapping of sections, got NoneType"),
        ("- a\n- b\n", "must hold a mapping of sections, got list"),
        ("seed: [1\n", "is not valid YAML: "),
        ("a: b: c\n", "is not valid YAML: "),
        ("\tseed: 1\n", "is not valid YAML: "),
        ("seed: !!python/object/apply:os.getcwd []\n", "is not valid YAML: "),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    params.FILE.write_text(text)
    assert refused(load).startswith(f"params.yaml {expected}")


def test_bytes_that_are_no_text_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params.FILE.write_bytes(b"\xff\xfe\x00")
    assert refused(load).startswith("params.yaml is not valid YAML: ")


def test_an_absent_file_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(load) == "params.yaml does not exist; run this in the project's root folder"


def test_sections_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load(ROOT / "params.yaml").block.gates.energy.budget_joules = 1.0  # type: ignore[misc]


def test_every_section_refuses_unknown_keys():
    sections = [Section]
    for section in sections:
        sections += section.__subclasses__()
    assert Block in sections
    assert all(section.model_config["extra"] == "forbid" for section in sections)


def test_a_wrong_value_of_the_tasks_own_options_names_its_key():
    class Options(Section):
        rate: float

    message = refused(lambda: typed(Options, {"rate": "fast"}, where="params.yaml: node.train"))
    assert message.startswith("params.yaml: node.train.rate must be a valid number")


MEMBERS = ("expectations", "target", "train", "baselines", "score")

TASK = """
from types import SimpleNamespace
from pydantic import BaseModel
from wattline.records import Description, Metric

metric = Metric(name="f1", unit="1", higher_is_better=True, description="F1")
description = Description(name={name!r}, purpose="p", intended_use="i", out_of_scope="o", limits="l",
                          output="score", output_unit="1", metrics=(metric,))
members = dict(description=description, options=BaseModel)
members.update({{name: (lambda *_: None) for name in {members!r}}})
TASK = SimpleNamespace(**members)
"""


class TestLoadTask:
    @pytest.fixture(autouse=True)
    def project(self, tmp_path, monkeypatch):
        """A project folder; what is imported in it is forgotten afterwards."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            del sys.modules[name]

    def write(self, text: str, *, folder: str = "work/own_task") -> TaskParams:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "task.py").write_text(text)
        return TaskParams(name="mine", folder=folder)

    def test_a_task_that_keeps_the_contract_is_loaded(self):
        task = load_task(self.write(TASK.format(name="mine", members=MEMBERS)))
        assert task.description.name == "mine"

    @pytest.mark.parametrize("folder", ["nowhere", "."])
    def test_a_folder_without_a_task_is_named(self, folder):
        message = refused(lambda: load_task(TaskParams(name="mine", folder=folder)))
        assert message == f"params.yaml: task.folder is {folder!r}, which holds no task.py"

    def test_a_module_without_a_task_is_named(self):
        message = refused(lambda: load_task(self.write("task = 1\n")))
        assert message.startswith("work/own_task/task.py must define TASK")

    @pytest.mark.parametrize("member", MEMBERS)
    def test_an_absent_member_is_named(self, member):
        members = tuple(name for name in MEMBERS if name != member)
        message = refused(lambda: load_task(self.write(TASK.format(name="mine", members=members))))
        assert message == f"work/own_task/task.py: TASK lacks {member}; see wattline.task.Task"

    def test_another_name_than_the_params_say_is_refused(self):
        message = refused(lambda: load_task(self.write(TASK.format(name="yours", members=MEMBERS))))
        assert message.startswith("params.yaml: task.name is 'mine', but work/own_task/task.py describes 'yours'")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("import no_such_module\n", "no_such_module"),
            ("from wattline.task import Tusk\n", "Tusk"),
            ("def f(:\n", "SyntaxError"),
            ("import math\nmath.cosine\n", "cosine"),
            ("1 / 0\n", "ZeroDivisionError"),
        ],
    )
    def test_a_module_that_cannot_be_imported_says_why(self, text, reason):
        message = refused(lambda: load_task(self.write(text)))
        assert message.startswith("work/own_task/task.py cannot be imported: ")
        assert reason in message

    @pytest.mark.parametrize("folder", ["json", "work/numpy"])
    def test_a_folder_named_like_a_package_that_is_already_there_is_refused(self, folder):
        text = TASK.format(name="mine", members=MEMBERS)
        message = refused(lambda: load_task(self.write(text, folder=folder)))
        assert folder in message
        assert "rename" in message


@pytest.mark.parametrize("value", ["true", '"25.0"'])
def test_a_truth_value_or_a_quoted_number_is_not_a_number(tmp_path, value):
    text = (ROOT / "params.yaml").read_text().replace("p99_ms: 25.0", f"p99_ms: {value}")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"gates\.latency\.p99_ms must be a number"):
        params.load(tmp_path / "params.yaml")


def test_a_key_that_stands_twice_is_refused(tmp_path):
    text = (ROOT / "params.yaml").read_text() + "\nseed: 8\n"
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match="'seed' stands twice"):
        params.load(tmp_path / "params.yaml")


def test_a_misspelt_key_is_named_rather_than_the_one_that_is_missing_for_it(tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("first_rows:", "first_row:", 1)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"validate\.first_row is not a known key"):
        params.load(tmp_path / "params.yaml")
