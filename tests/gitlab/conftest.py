"""Jobs of a pipeline."""

from collections.abc import Iterator

import pytest

from gitlab.jobs import Job, jobs


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """Makes this process a job of a pipeline."""
    with jobs(monkeypatch) as start:
        yield start
