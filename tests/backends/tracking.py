"""An MLflow tracking server of the test's own, on PostgreSQL and S3: its clients know neither."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx
from debian import give_up

from backends.processes import Server, free_port, serving
from backends.s3 import BUCKET

ADMINISTRATOR = "administrator"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
# Any port of the loopback: a proxy that breaks things stands in front.
HOSTS = "127.0.0.1:*,localhost:*"
AUTH = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = {user}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@dataclass(frozen=True)
class Tracking:
    """A running tracking server.

    user, password: empty where the server asks for none
    """

    server: Server
    url: str
    user: str = ""
    password: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """For a client: where the server is, who asks, and that bytes come from there and from nowhere else.

        Otherwise MLflow's client has the server sign addresses of the S3 server and goes there itself, past a proxy.
        """
        who = {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}
        way = {"MLFLOW_TRACKING_URI": self.url, "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false"}
        return way | (who if self.user else {})


@contextmanager
def tracking(
    folder: Path, *, database: str, artifacts: dict[str, str], workers: int = 1, auth: bool = False
) -> Iterator[Tracking]:
    """A tracking server that answers.

    database: URL of a database that MLflow has migrated
    artifacts: environment that opens the S3 server
    auth: asks for the password of an administrator that the answer names
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url, password = f"http://127.0.0.1:{port}", secrets.token_hex(16) if auth else ""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers), "--allowed-hosts", HOSTS]
    command += ["--artifacts-destination", f"s3://{BUCKET}", *(["--app-name", "basic-auth"] if auth else [])]
    # The URL holds a password; arguments can be read by everybody.
    environment = {**ENVIRONMENT, **artifacts, "MLFLOW_BACKEND_STORE_URI": database, "TMPDIR": str(folder)}
    if auth:
        environment |= _auth(folder, password)
    log = folder / "log"
    with serving(command, answers=lambda: _healthy(url), log=log, environment=environment, cwd=folder) as server:
        yield Tracking(server, url, ADMINISTRATOR if auth else "", password)


def _auth(folder: Path, password: str) -> dict[str, str]:
    if find_spec("flask_wtf") is None:
        give_up("MLflow's basic-auth needs Flask-WTF, which is not installed: add flask-wtf to requirements/dev.in")
    config = folder / "auth.ini"
    config.write_text(AUTH.format(folder=folder, user=ADMINISTRATOR))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
