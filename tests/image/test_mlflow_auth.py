"""MLflow as the stack starts it: nobody gets in without a password, and no secret is where others read it."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from image.containers import ROOT

SERVICE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]["mlflow"]
SECONDS = 120.0


def made_secrets(folder: Path) -> Path:
    """What docker/secrets.sh makes, with SQLite in the place of PostgreSQL."""
    shutil.copytree(ROOT / "docker", folder / "docker", ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run([folder / "docker" / "secrets.sh"], check=True)
    secrets = folder / "docker" / "secrets"
    text = (secrets / "mlflow_auth").read_text()
    assert "database_uri = postgresql+psycopg2:///?service=mlflow\n" in text
    (secrets / "mlflow_auth").chmod(0o600)
    (secrets / "mlflow_auth").write_text(
        text.replace("postgresql+psycopg2:///?service=mlflow", f"sqlite:///{folder}/a.db")
    )
    return secrets


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"MLflow did not start: {process.poll()}")


class Stack:
    """MLflow that runs, its address, its secrets and its processes."""

    def __init__(self, port: int, secrets: Path, group: int) -> None:
        self.port, self.secrets, self.group = port, secrets, group

    def status(self, path: str, *, user: str | None = None, password: str = "", host: str | None = None) -> int:
        headers = {"Host": host} if host else {}
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @property
    def password(self) -> str:
        return (self.secrets / "mlflow_password").read_text().strip()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    pytest.importorskip("flask_wtf", reason="MLflow's basic-auth needs Flask-WTF, which is in its image, not here")
    folder = tmp_path_factory.mktemp("mlflow")
    secrets, port = made_secrets(folder), free_port()
    changed = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}", "--workers=2": "--workers=1"}
    command = [changed.get(part, part).replace("/run/secrets", str(secrets)) for part in SERVICE["command"]]
    environment = {
        name: str(value).replace("/run/secrets", str(secrets)) for name, value in SERVICE["environment"].items()
    }
    environment |= {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/m.db", "MLFLOW_ARTIFACTS_DESTINATION": str(folder)}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    environment |= {"TMPDIR": str(folder), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield Stack(port, secrets, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


LIST = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.mark.parametrize(
    "path", [LIST, "/", "/ajax-api/2.0/mlflow/registered-models/search", "/api/2.0/mlflow/users/get"]
)
def test_nobody_gets_in_without_a_password(stack: Stack, path: str):
    assert stack.status(path) == 401
    assert stack.status(path, user="admin", password=stack.password[::-1]) == 401
    assert stack.status(path, user="nobody", password=stack.password) == 401


def test_the_first_user_gets_in_with_the_password_that_was_made(stack: Stack):
    assert stack.status(LIST, user="admin", password=stack.password) == 200


def test_health_is_told_to_everyone(stack: Stack):
    assert stack.status("/health") == 200


def test_a_foreign_host_is_refused_even_with_the_password(stack: Stack):
    assert stack.status(LIST, user="admin", password=stack.password, host="evil.example.org") == 403


def test_no_secret_is_in_the_arguments_of_a_process(stack: Stack):
    secrets = [stack.password, (stack.secrets / "mlflow_environment").read_text().strip().split("=", 1)[1]]
    arguments = b"".join(
        (Path("/proc") / name / "cmdline").read_bytes()
        for name in subprocess.run(
            ["pgrep", "-g", str(stack.group)], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert b"basic-auth" in arguments
    assert not any(secret.encode() in arguments for secret in secrets)


def test_the_stack_starts_it_with_users_and_secrets_from_files():
    assert "--app-name=basic-auth" in SERVICE["command"]
    assert SERVICE["environment"]["MLFLOW_AUTH_CONFIG_PATH"] == "/run/secrets/mlflow_auth"
    assert {"mlflow_auth", "mlflow_environment"} <= set(SERVICE["secrets"])
    assert "MLFLOW_FLASK_SERVER_SECRET_KEY" not in SERVICE["environment"]
    assert SERVICE["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert SERVICE["environment"]["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_the_password_is_random_long_and_kept(tmp_path: Path):
    first, second = made_secrets(tmp_path / "a"), made_secrets(tmp_path / "b")
    passwords = [(folder / "mlflow_password").read_text().strip() for folder in (first, second)]
    assert len(set(passwords)) == 2
    assert all(len(one) > 40 and "%" not in one for one in passwords), "% has a meaning in the file of users"
    assert f"admin_password = {passwords[0]}\n" in (first / "mlflow_auth").read_text()
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    subprocess.run([first.parent / "secrets.sh"], check=True)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
