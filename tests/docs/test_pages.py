"""docs/: each page speaks of what there is, under its own name, and of nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from wattline.gates import NAMES
from wattline.sources.registry import MODULES
from wattline.stages import STAGES, sections

ROOT = Path(__file__).resolve().parents[2]
WIRING = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def headings(text):
    return re.findall(r"^## (.+)$", text, flags=re.MULTILINE)


def chapter(text, name):
    """The text below a heading, up to the next one."""
    return re.split(r"^## ", text.split(f"\n## {name}\n")[1], flags=re.MULTILINE)[0]


def row(text, name):
    """The cell of a stage's table that is called `name`."""
    return re.search(rf"^\| {name} \| (.*) \|$", text, flags=re.MULTILINE).group(1)


def outputs(stage):
    """Paths that dvc.yaml declares; an entry with options is a mapping of one path."""
    for kind in ("outs", "metrics", "plots"):
        for entry in WIRING[stage].get(kind, []):
            yield from [entry] if isinstance(entry, str) else entry


def test_the_pipeline_page_has_a_chapter_for_each_stage_in_order():
    assert tuple(headings(page("pipeline.md"))[: len(STAGES)]) == STAGES
    assert set(WIRING) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_chapter_names_what_it_reads(stage):
    reads = row(chapter(page("pipeline.md"), stage), "reads")
    missing = [
        path for path in WIRING[stage]["deps"] if not path.startswith(("src/", "${")) and f"`{path}`" not in reads
    ]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_chapter_names_what_it_writes(stage):
    writes = row(chapter(page("pipeline.md"), stage), "writes")
    missing = [path for path in outputs(stage) if f"`{path.replace('${task.name}', 'TASK')}" not in writes]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_signature_wiring_and_page_name_the_same_sections_of_params_yaml(stage):
    asked = set(sections(stage))
    wired = {name.removeprefix("${task.name}.").split(".")[0] for name in WIRING[stage]["params"]}
    knobs = set(re.findall(r"`(\w+)`", row(chapter(page("pipeline.md"), stage), "knobs")))
    assert asked == wired == knobs


def test_the_gates_page_has_a_chapter_for_each_gate_in_order():
    assert tuple(headings(page("gates.md"))[: len(NAMES)]) == NAMES


def test_the_sources_page_has_a_chapter_for_each_source_in_order():
    assert headings(page("sources.md"))[: len(MODULES)] == list(MODULES)


def test_the_energy_page_tells_measured_from_estimated():
    text = page("energy.md")
    assert "measured" in text
    assert "An estimate is not a measurement" in text
