"""The thousand random schedules once more, on PostgreSQL."""

from pathlib import Path

import pytest

from tests.registry.test_schedules import explore
from wattline.settings import settings


@pytest.mark.no_cover  # counting lines doubles what it takes
def test_a_thousand_schedules_on_postgresql_leave_nothing_undecided(
    project: Path, database: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    settings.cache_clear()
    explore(project, database, seed=2, monkeypatch=monkeypatch)
