"""A PostgreSQL of the test's own: an unprivileged process on the loopback, in a folder that goes with it."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from debian import install
from psycopg import sql

from backends.processes import UNPRIVILEGED, Server, free_port, serving, unprivileged

USER = "wattline"
EMPTY = "mlflow_empty"
# Nothing here has to survive a power cut.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "jit": "off",
}
# In a process of its own: a database that somebody is connected to cannot be a template.
MIGRATE = "import os, mlflow; mlflow.MlflowClient(os.environ['DATABASE'], os.environ['DATABASE']).search_experiments()"


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL."""

    server: Server
    port: int
    password: str

    def url(self, database: str) -> str:
        """For SQLAlchemy and MLflow, with psycopg 3 as driver."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", **options: Any) -> "psycopg.Connection[Any]":
        """A connection whose statements are committed one by one."""
        address = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": self.password}
        return psycopg.connect(**{**address, "dbname": database, "autocommit": True, **options})

    def create(self, template: str = EMPTY) -> str:
        """Make a database as a copy of another one, in a tenth of a second; returns its name."""
        name = f"test_{secrets.token_hex(6)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def drop(self, database: str) -> None:
        """Remove a database, also under the hands of those connected to it."""
        self._execute("DROP DATABASE {} WITH (FORCE)", database)

    def _execute(self, statement: str, *names: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def programs(cache: Path) -> Path:
    """The folder with initdb and postgres: of the system, or else unpacked into `cache`."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((folder for folder in folders if (folder / "initdb").exists()), None)
    if found is None:
        install(cache, "postgres")
    return found or cache / "tools" / "usr" / "lib" / "postgresql" / "15" / "bin"


@contextmanager
def cluster(cache: Path) -> Iterator[Cluster]:
    """A PostgreSQL of its own, started in about a second."""
    folder = Path(tempfile.mkdtemp(prefix="wattline-postgres-"))
    try:
        if os.getuid() == 0:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        with _running(folder, programs(cache)) as found:
            yield found
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(folder: Path, binaries: Path) -> Iterator[Cluster]:
    password, port = secrets.token_hex(16), free_port()
    environment = {"LD_LIBRARY_PATH": str(binaries.parents[2] / f"{os.uname().machine}-linux-gnu"), "TZ": "UTC"}
    _initialise(folder, binaries, password, environment)
    options = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(port)}.items()]

    def answers() -> bool:
        try:
            found.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    found = Cluster(Server(0, folder), port, password)
    with serving(
        [binaries / "postgres", "-D", folder / "data", *options],
        answers=answers,
        log=folder / "log",
        environment=environment,
        stop=signal.SIGINT,
        cwd=folder,
        **unprivileged(),
    ) as server:
        yield Cluster(server, port, password)


def _initialise(folder: Path, binaries: Path, password: str, environment: dict[str, str]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    if os.getuid() == 0:
        os.chown(secret, UNPRIVILEGED, UNPRIVILEGED)
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        folder / "data",
        "-U",
        USER,
        f"--pwfile={secret}",
        "-A",
        "scram-sha-256",
    ]
    command += ["--no-locale", "-E", "UTF8", "--no-sync", "--no-instructions"]
    options: dict[str, Any] = {"cwd": folder, "env": {**os.environ, **environment}, **unprivileged()}
    subprocess.run(command, check=True, capture_output=True, **options)
    secret.unlink()


def migrate(found: Cluster) -> None:
    """Make the template that `create` copies; about four seconds of MLflow's."""
    name = found.create("template1")
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "DATABASE": found.url(name)}
    # MLflow leaves the lock of its migration in the temporary folder.
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **quiet, "TMPDIR": folder}
        subprocess.run([sys.executable, "-c", MIGRATE], check=True, capture_output=True, env=environment, cwd=folder)
    with found.connect() as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (name, EMPTY))))
