"""docs/adr/: short, complete, and in step with what they speak of."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "adr").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_record_states_context_decision_and_consequences_on_one_page(path):
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences"]
    assert len([line for line in text.splitlines() if not line.startswith("|")]) <= 60


def test_numbers_are_consecutive():
    assert [int(path.name[:4]) for path in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("name", ["core.in", "dev.in"])
def test_every_dependency_has_its_reason_and_every_reason_its_dependency(name):
    text = (ROOT / "docs" / "adr" / "0009-dependencies.md").read_text(encoding="utf-8")
    table = text.split(f"| `{name}` | why |")[1].split("\n\n")[0]
    reasons = re.findall(r"^\| ([\w.-]+) \|", table, flags=re.MULTILINE)
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    required = [re.match(r"[\w.-]+", line).group() for line in lines if line and line[0] not in "#-"]
    assert reasons == required
