"""A project on the whole stack: tracking server, S3 and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from backends.proxy import Faults
from backends.tracking import Tracking

from tests.registry.backends.stack import PASSWORD, USER, Stack
from wattline.registry.ledger import connect
from wattline.settings import settings


@pytest.fixture
def ledger_uri(database: str) -> str:
    """As a person writes it."""
    return database.replace("postgresql+psycopg:", "postgresql:")


@pytest.fixture
def stack(
    project: Path, proxy: Faults, tracking_server: Tracking, ledger_uri: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """The project's store is the tracking server, seen through the proxy; its audit log has a database of its own."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url.replace("//", f"//{USER}:{PASSWORD}@"))
    monkeypatch.setenv("WATTLINE_LEDGER_URI", ledger_uri)
    settings.cache_clear()
    ledger = connect(ledger_uri, lock_seconds=5, wait_seconds=10)
    yield Stack(proxy, MlflowClient(tracking_server.url, registry_uri=tracking_server.url), ledger)
    ledger.close()
