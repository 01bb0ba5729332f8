"""A tiny project whose pipeline ran once, and copies of it in which a test may do what it likes."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduction import tiny
from wattline.settings import settings


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after its pipeline ran. Not to be changed."""
    folder = tmp_path_factory.mktemp("tiny") / "project"
    tiny.build(folder)
    tiny.dvc(folder, "repro")
    return folder


@pytest.fixture
def project(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project, with its cache, as the working folder; no worktree and no folder of one stays behind."""
    folder = tmp_path / "project"
    shutil.copytree(ran, folder, symlinks=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(folder)
    settings.cache_clear()
    yield folder
    settings.cache_clear()
    assert list(temporary.iterdir()) == []
    assert len(tiny.git(folder, "worktree", "list").splitlines()) == 1
