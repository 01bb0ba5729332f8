"""A project, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from tests.monitoring import project as projects
from tests.monitoring.project import Project
from wattline.monitoring.records import Look


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.make(tmp_path_factory.mktemp("monitoring") / "project")


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A project of its own, in which nothing was served yet."""
    folder = tmp_path / "project"
    shutil.copytree(made.folder, folder)
    return Project(folder, made.candidate)


@pytest.fixture(scope="session")
def look(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """What a look leaves. Of a copy, so that the project stays as it was made."""
    folder = tmp_path_factory.mktemp("looked") / "project"
    shutil.copytree(made.folder, folder)
    copy = Project(folder, made.candidate)
    copy.served(100)
    copy.observed(10)
    return copy.look()
