"""floors: an old library is refused before it is imported, an absent one is not missed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from wattline import floors, stages
from wattline.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def installed(folder: Path, package: str, version: str) -> None:
    """Metadata of a package, as pip leaves it; its code cannot be imported."""
    information = folder / f"{package}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text("raise RuntimeError('imported')\n")


@pytest.mark.parametrize(
    ("version", "floor", "below"),
    [
        ("3.11", "3.11", False),
        ("3.11.0", "3.11", False),
        ("3.11.0.post1", "3.11", False),
        ("3.10.9", "3.11", True),
        ("3.9.99", "3.11", True),
        ("3.11rc1", "3.11", True),
        ("3.11.0.dev2", "3.11", True),
        ("3.11.1rc1", "3.11", False),
        ("4", "3.11", False),
        ("2.10.0+cpu", "2.10", False),
        ("2.9.1+cpu", "2.10", True),
        ("2.10.0a0+git1234", "2.10", True),
        ("23.0.0", "23.0.1", True),
        ("23.0.10", "23.0.1", False),
        ("unknown", "1.0", True),
    ],
)
def test_versions_are_compared_as_releases(version, floor, below):
    assert floors.is_below(version, floor) is below


@pytest.mark.parametrize("package", floors.FLOORS)
def test_an_old_one_is_refused_with_version_floor_reason_and_remedy(tmp_path, monkeypatch, package):
    installed(tmp_path, package, "0.9")
    monkeypatch.syspath_prepend(tmp_path)
    floor, reason = floors.FLOORS[package]
    with pytest.raises(InputError) as caught:
        floors.check(package)
    message = str(caught.value)
    assert f"{package} 0.9 " in message
    assert f"{package}>={floor}" in message
    assert reason in message
    assert "\n" not in message


def test_an_absent_one_is_no_risk(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    floors.check(*floors.FLOORS)


def test_what_is_installed_here_is_recent_enough():
    floors.check(*floors.FLOORS)


def test_a_stage_does_not_start_with_an_old_torch(tmp_path, monkeypatch):
    installed(tmp_path, "torch", "2.9.1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"torch 2\.9\.1"):
        stages.run("train")


def test_checking_imports_none_of_them():
    code = "import sys; from wattline import floors; floors.check(*floors.FLOORS); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(floors.FLOORS) & set(done.stdout.split())


def test_the_page_names_every_floor():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", page, flags=re.MULTILINE))
    assert named == {package: floor for package, (floor, _) in floors.FLOORS.items()}
