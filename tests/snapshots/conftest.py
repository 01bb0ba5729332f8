"""A folder to take snapshots in, and samples to take."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wattline import partitions
from wattline.records import Snapshot
from wattline.settings import settings
from wattline.snapshots import taking
from wattline.snapshots.pull import Question

START = datetime(2026, 3, 1, tzinfo=UTC)
SOURCE = "snapshots.telemetry"
FILE = "samples.json"

Samples = dict[str, dict[str, list[tuple[float, float]]]]


def hours(count: float) -> datetime:
    """An instant after START."""
    return START + timedelta(hours=count)


def sample(hour: float, value: float) -> tuple[float, float]:
    return hours(hour).timestamp(), value


def steady(units: int = 2, *, until: float = 60.0, since: float = 0.0) -> Samples:
    """A sample of every column every ten minutes."""
    at = [step / 6 for step in range(round(since * 6), round(until * 6))]
    return {
        f"n{unit}": {
            "power": [sample(hour, 100 + unit + hour) for hour in at],
            "load": [sample(hour, hour % 24) for hour in at],
        }
        for unit in range(units)
    }


def write(samples: Samples) -> None:
    Path(FILE).write_text(json.dumps(samples))


def take(
    begin: float = 0.0, end: float = 60.0, *, page_hours: float = 6.0, fresh: bool = False, **options: Any
) -> Path:
    """Take a snapshot of the hours from `begin` until `end`, without DVC."""
    question = Question(
        SOURCE, {"file": FILE, **options}, 7, hours(begin), hours(end), page_hours=page_hours, fresh=fresh
    )
    return taking.take(question, dvc=False, say=lambda line: None)


def newest() -> Snapshot:
    return partitions.read_record(partitions.FOLDER / partitions.newest()["telemetry"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATTLINE_STATE", raising=False)
    monkeypatch.delenv("WATTLINE_SITE", raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def tree(folder: Path = partitions.FOLDER) -> dict[str, bytes]:
    """Every byte below a folder."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
