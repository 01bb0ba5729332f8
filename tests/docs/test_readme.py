"""README.md and docs/: what they tell a reader to type exists, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
import typer

from wattline.cli import app
from wattline.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "model_cards").glob("*.md")),
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def code(path):
    """What stands between backticks, in a line or a block: only there is `make` a command."""
    text = path.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


def targets():
    return set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))


def commands():
    return set(typer.main.get_command(app).commands)


@each_page
def test_every_make_target_on_the_page_exists(path):
    assert set(re.findall(r"(?:^|[`\s;&])make ([a-z]+)", code(path))) <= targets()


@each_page
def test_every_wattline_command_on_the_page_exists(path):
    named = re.findall(r"(?:^|[`\s;&])wattline ([a-z][a-z-]*)(?: ([a-z]+))?", code(path))
    assert {command for command, _ in named} <= commands()
    assert {stage for command, stage in named if command == "run" and stage} <= set(STAGES)


def test_every_wattline_command_in_the_makefile_exists():
    assert set(re.findall(r"^\twattline ([a-z]+)", MAKEFILE, flags=re.MULTILINE)) <= commands()


@each_page
def test_relative_links_resolve(path):
    # A regular expression may look like a link.
    prose = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    relative = [link for link in found if not re.match(r"[a-z]+:", link)]
    broken = [link for link in relative if not leads_somewhere(path, link)]
    assert not broken


def leads_somewhere(path, link):
    """Whether the file exists, and its heading where the link names one."""
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target)


def anchors(path):
    """Headings as GitLab makes links of them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 250
