"""The back ends as fixtures: one of each for a session, a database of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.postgres import Cluster, cluster, migrate
from backends.proxy import Faults, faults
from backends.s3 import Store, store
from backends.tracking import Tracking, tracking

__all__ = ["auth_server", "database", "postgres", "proxy", "s3", "tracking_server"]


@pytest.fixture(scope="session")
def postgres(cache: Path) -> Iterator[Cluster]:
    """A PostgreSQL with the template of MLflow's databases; about five seconds."""
    with cluster(cache) as found:
        migrate(found)
        yield found


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """URL of a database of the test's own, as MLflow wants it and without content; a tenth of a second."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An S3 server with one bucket; a tenth of a second."""
    with store(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="session")
def tracking_server(postgres: Cluster, s3: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """An MLflow tracking server for all tests of a session, each with names of its own; about eight seconds."""
    folder, url = tmp_path_factory.mktemp("tracking"), postgres.url(postgres.create())
    with tracking(folder, database=url, artifacts=s3.environment) as found:
        yield found


@pytest.fixture(scope="session")
def auth_server(postgres: Cluster, s3: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """The same, asking for a password; about ten seconds."""
    folder, url = tmp_path_factory.mktemp("auth"), postgres.url(postgres.create())
    with tracking(folder, database=url, artifacts=s3.environment, auth=True) as found:
        yield found


@pytest.fixture
def proxy(tracking_server: Tracking) -> Iterator[Faults]:
    """What stands between a test and the tracking server, and breaks as the test says."""
    with faults(tracking_server.url) as found:
        yield found
