"""docs/params.md: what the code declares, and every key explained."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import yaml
from pydantic import Field

from wattline.errors import InputError
from wattline.params import Section

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = (
    "TASK.ingest.options",
    "TASK.presets",
    "TASK.bakeoff.models",
    "hpc.stages",
    "TASK.sweep.options",
    "TASK.sweep.space",
)


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """docs/params.py as a module."""
    spec = importlib.util.spec_from_file_location("params_page", ROOT / "docs" / "params.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale(writer):
    assert writer.PAGE.read_text(encoding="utf-8") == writer.render(), "run `python docs/params.py`"


def test_every_key_of_params_yaml_is_on_the_page(writer):
    page = writer.PAGE.read_text(encoding="utf-8")
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    shared = ("registry", "serving", "deployment", "monitoring", "hpc", "notebooks", "live", "snapshots")
    blocks = set(tree) - {"task", "seed", *shared}
    keys = {key for block in blocks for key in leaves(tree[block], "TASK")}
    keys |= {key for section in shared for key in leaves(tree[section], section)}
    missing = [key for key in sorted(keys) if f"`{key}`" not in page]
    assert not missing


def leaves(tree, prefix):
    """Dotted names of the values below `prefix`; what a source is given counts as one."""
    for name, value in tree.items():
        key = f"{prefix}.{name}"
        nested = isinstance(value, dict) and key not in MAPPINGS
        yield from leaves(value, key) if nested else [key]


def test_a_key_that_nobody_explains_is_refused_by_name(writer):
    class Silent(Section):
        """Says nothing of its keys."""

        limit: float

    with pytest.raises(InputError, match=r"TASK\.gates\.limit is not explained; add a line `limit: "):
        list(writer.rows(Silent, "TASK.gates"))


def test_range_unit_and_default_are_those_of_the_declaration(writer):
    class Spoken(Section):
        """first, second: wide open [s]. third: closed. fourth: narrow"""

        first: float = Field(gt=0, le=2)
        second: float | None = None
        third: tuple[str, ...] = ("a",)
        fourth: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)

    assert list(writer.rows(Spoken, "x")) == [
        "| `x.first` | float > 0, <= 2 | s | required | wide open |",
        "| `x.second` | float | s | none | wide open |",
        "| `x.third` | list of text |  | `('a',)` | closed |",
        "| `x.fourth` | list of int >= 1 length >= 1 |  | required | narrow |",
    ]
