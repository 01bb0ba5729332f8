"""The environment: that of the lock, or another one that is named."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from reproduction import tiny
from wattline.errors import WattlineError
from wattline.reproduction import environment
from wattline.reproduction.commands import Place

MAKEFILE = """
setup:
	$(PYTHON) -m venv --without-pip $(VENV)
	@echo set up
"""


@pytest.fixture
def place(tmp_path):
    root = tmp_path / "worktree"
    (root / "requirements").mkdir(parents=True)
    (root / environment.LOCK).write_text(f"pydantic=={metadata.version('pydantic')} \\\n    --hash=sha256:00\n")
    (root / environment.TORCH[0]).write_text("torch==0.1\n")
    (root / environment.TORCH[1]).write_text(f"torch=={metadata.version('torch')} \\\n    --hash=sha256:00\n")
    (root / "Makefile").write_text(MAKEFILE)
    made = Place(private=tmp_path, root=root)
    made.scratch.mkdir()
    return made


def test_a_lock_is_read_as_pip_reads_it(tmp_path):
    lock = tmp_path / "a.lock"
    lock.write_text(
        "# a comment with x==1\n--only-binary==all\nRuamel.yaml==0.19.1 \\\n    --hash=sha256:00\n    # via dvc==3\n"
        'pywin32==311 ; sys_platform == "win32" \\\n    --hash=sha256:00\ntorch==2.13.0+cpu # CPU\n'
    )
    assert environment.pinned(lock) == {"ruamel-yaml": "0.19.1", "torch": "2.13.0+cpu"}


def test_the_running_interpreter_is_taken_when_it_has_what_is_pinned(place):
    said = []
    assert environment.choose("auto", place, say=said.append) == ("current", Path(sys.executable))
    assert said == []


def test_the_real_lock_is_met_here():
    assert list(environment.unmet(Path(__file__).parents[2])) == []


def test_a_package_of_another_version_is_named_and_the_lock_installed(place):
    (place.root / environment.LOCK).write_text("pydantic==0.1\nabsent-package==1\n")
    said = []
    chosen, python = environment.choose("auto", place, say=said.append)
    assert chosen == "fresh"
    assert python.is_relative_to(place.private)
    assert "pydantic is " in said[0]
    assert "pins 0.1" in said[0]
    assert "set up" in said
    used = environment.installed(python, place.root)
    assert "pydantic" not in used.packages
    assert list(environment.unmet(place.root))[1].startswith("absent-package is not installed here")


def test_another_build_of_torch_is_not_the_locks(place):
    (place.root / environment.TORCH[1]).unlink()
    assert list(environment.unmet(place.root)) == [
        f"torch is {metadata.version('torch')} here, the locks pin 0.1",
    ]


def test_a_lock_that_cannot_be_installed_ends_it(place):
    (place.root / "Makefile").write_text("setup:\n\t@echo no index; exit 1\n")
    said = []
    with pytest.raises(
        WattlineError, match=r"`make setup` of the version ended with exit code 2.*--environment current"
    ):
        environment.choose("fresh", place, say=said.append)
    assert "no index" in said


def test_what_differs_from_the_recorded_environment_is_named(place):
    used = environment.installed(Path(sys.executable), place.root)
    assert environment.differences(used, used) == ()
    found = {one.name: str(one) for one in environment.differences(tiny.nowhere(), used)}
    assert found.keys() == {"python", "platform", "requirements/core.lock", "pydantic"}
    assert found["pydantic"] == f"pydantic: {metadata.version('pydantic')}, recorded was 0.1"


def test_names_of_packages_are_compared_as_pip_does(place):
    used = environment.installed(Path(sys.executable), place.root)
    packages = {"Ruamel_YAML": metadata.version("ruamel.yaml"), "never-installed": "1"}
    recorded = used.model_copy(update={"packages": packages})
    assert [str(one) for one in environment.differences(recorded, used)] == ["never-installed: absent, recorded was 1"]
