"""Random schedules once more, on PostgreSQL: a fifth of the thousand, since each takes twice as long there."""

from pathlib import Path

import pytest

from tests.registry.test_schedules import SCHEDULES, explore
from wattline.settings import settings


@pytest.mark.no_cover  # counting lines doubles what it takes
def test_schedules_on_postgresql_leave_nothing_undecided(project: Path, database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    settings.cache_clear()
    explore(project, database, seed=2, monkeypatch=monkeypatch, schedules=SCHEDULES // 5)
