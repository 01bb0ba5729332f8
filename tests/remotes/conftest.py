"""One project for a module, a copy for each test."""

from pathlib import Path

import pytest

from remotes import kept
from remotes.kept import Project


@pytest.fixture(scope="package")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Everything ran and was sent."""
    project = kept.made(tmp_path_factory.mktemp("kept"))
    project.push()
    return project


@pytest.fixture
def project(original: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    return kept.copied(original, tmp_path)
