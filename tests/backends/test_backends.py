"""The back ends are real: what goes in comes out, wrong secrets are refused, and nothing remains."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from backends.faults import Answer, Flip, Unanswered
from backends.postgres import EMPTY, Cluster, cluster
from backends.processes import group_runs, serving
from backends.proxy import Faults, faults
from backends.s3 import BUCKET, Store, store
from backends.tracking import Tracking

CONTENT = bytes(range(256)) * 300
# The child hears no request to end.
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if os.fork() == 0 else signal.SIG_DFL)
pathlib.Path("ready").touch()
time.sleep(600)
"""

KILLED = """
import os, pathlib, signal
from backends.processes import serving
with serving(["sleep", "600"], answers=lambda: True, log=pathlib.Path("log"), environment={}) as server:
    pathlib.Path("group").write_text(str(server.pid))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's client gives up at once."""
    for name, value in {"MAX_RETRIES": "0", "TIMEOUT": "60"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")


@pytest.fixture
def anonymous(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A client whose environment opens nothing."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MLFLOW_TRACKING_", "MLFLOW_S3_")):
            monkeypatch.delenv(name)
    return monkeypatch


def client(url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(url, registry_uri=url)


def different(found: bytes) -> list[int]:
    """Places where bytes are not those of CONTENT."""
    assert len(found) == len(CONTENT)
    return [place for place, byte in enumerate(CONTENT) if found[place] != byte]


def refused(url: str) -> str:
    """What MLflow says to somebody who asks for experiments."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        client(url).search_experiments()
    return str(caught.value)


def test_a_run_a_version_and_bytes_come_back_from_postgresql_and_s3_as_they_went(
    tracking_server: Tracking, s3: Store, tmp_path: Path, anonymous: pytest.MonkeyPatch, impatient: None
) -> None:
    mlflow, name = client(tracking_server.url), "round-trip"
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    (tmp_path / "empty").write_bytes(b"")
    run = mlflow.create_run(mlflow.create_experiment(name), tags={"commit": "é" * 40}).info
    mlflow.log_artifacts(run.run_id, str(tmp_path), "model")
    mlflow.create_registered_model(name)
    version = mlflow.create_model_version(name, f"{run.artifact_uri}/model", run.run_id, tags={"digest": "sha256:0"})
    mlflow.set_registered_model_alias(name, "champion", version.version)

    found = mlflow.get_model_version_by_alias(name, "champion")
    assert (int(found.version), found.tags, found.aliases) == (1, {"digest": "sha256:0"}, ["champion"])
    assert mlflow.get_run(run.run_id).data.tags["commit"] == "é" * 40
    (tmp_path / "down").mkdir()
    down = Path(mlflow.download_artifacts(run.run_id, "model", str(tmp_path / "down")))
    assert {file.name: file.read_bytes() for file in down.iterdir()} == {"model.onnx": CONTENT, "empty": b""}
    stored = [file for file in s3.folder.rglob("model.onnx") if run.run_id in str(file)]
    assert [file.read_bytes() for file in stored] == [CONTENT]


def test_a_tracking_server_refuses_a_foreign_host(tracking_server: Tracking) -> None:
    answer = httpx.get(f"{tracking_server.url}/api/2.0/mlflow/experiments/get", headers={"Host": "evil.example"})
    assert answer.status_code == 403


def test_each_database_is_migrated_empty_and_its_own(database: str, postgres: Cluster) -> None:
    other = postgres.create()
    name = database.rsplit("/", 1)[1]
    with postgres.connect(name) as connection:
        connection.execute("INSERT INTO registered_models (name, workspace) VALUES ('here', 'default')")
    for which in (EMPTY, other):
        with postgres.connect(which) as connection:
            assert connection.execute("SELECT count(*) FROM registered_models").fetchone() == (0,)
    postgres.drop(other)


def test_a_wrong_password_opens_no_database(postgres: Cluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres.connect(password="wrong")


def test_a_wrong_secret_opens_no_bucket(s3: Store) -> None:
    from botocore.exceptions import ClientError

    right, wrong = s3.client(), s3.client("wrong")
    right.put_object(Bucket=BUCKET, Key="a/b", Body=CONTENT)
    assert right.get_object(Bucket=BUCKET, Key="a/b")["Body"].read() == CONTENT
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.get_object(Bucket=BUCKET, Key="a/b")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.put_object(Bucket=BUCKET, Key="a/b", Body=b"changed")
    assert (s3.folder / BUCKET / "a" / "b").read_bytes() == CONTENT
    right.close()
    wrong.close()


def test_a_server_with_auth_lets_in_those_who_know_the_password(
    auth_server: Tracking, anonymous: pytest.MonkeyPatch, impatient: None
) -> None:
    assert "not authenticated" in refused(auth_server.url)
    anonymous.setenv("MLFLOW_TRACKING_USERNAME", auth_server.user)
    anonymous.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert "not authenticated" in refused(auth_server.url)
    anonymous.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    assert client(auth_server.url).search_experiments()


def test_nothing_remains_of_postgresql_and_s3(cache: Path, tmp_path: Path) -> None:
    with cluster(cache) as database, store(tmp_path / "s3") as objects:
        groups, folder = (database.server.pid, objects.server.pid), database.server.log.parent
        assert all(group_runs(group) for group in groups)
        assert folder.is_dir()
    assert not any(group_runs(group) for group in groups)
    assert not folder.exists()


def test_nothing_remains_of_a_server_with_stubborn_children(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUBBORN]
    ready, log = tmp_path / "ready", tmp_path / "log"
    with serving(command, answers=ready.exists, log=log, environment={}, stop=signal.SIGTERM, cwd=tmp_path) as server:
        assert group_runs(server.pid)
    assert not group_runs(server.pid)


def test_a_server_goes_also_when_the_tests_are_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    until = time.monotonic() + 30
    while group_runs(int((tmp_path / "group").read_text())) and time.monotonic() < until:
        time.sleep(0.02)
    assert not group_runs(int((tmp_path / "group").read_text()))


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room')"]
    with (
        pytest.raises(AssertionError, match="no room"),
        serving(command, answers=lambda: False, log=tmp_path / "log", environment={}),
    ):
        pass


def test_a_version_is_made_although_the_answer_is_lost(
    tracking_server: Tracking, proxy: Faults, anonymous: pytest.MonkeyPatch, impatient: None
) -> None:
    from mlflow.exceptions import MlflowException

    behind, before = client(tracking_server.url), client(proxy.url)
    behind.create_registered_model("lost")
    run = behind.create_run(behind.create_experiment("lost")).info
    proxy.when(Unanswered(), path="model-versions/create")
    with pytest.raises(MlflowException, match="Connection aborted"):
        before.create_model_version("lost", f"{run.artifact_uri}/model", run.run_id)
    assert [seen.fault for seen in proxy.seen] == [Unanswered()]
    assert [int(one.version) for one in behind.search_model_versions("name = 'lost'")] == [1]


def test_a_byte_flipped_on_the_way_reaches_the_client_and_one_flipped_in_the_bucket_is_refused_by_boto3(
    tracking_server: Tracking, s3: Store, proxy: Faults, tmp_path: Path, anonymous: pytest.MonkeyPatch, impatient: None
) -> None:
    from mlflow.exceptions import MlflowException

    mlflow = client(proxy.url)
    (tmp_path / "weights").write_bytes(CONTENT)
    run = mlflow.create_run(mlflow.create_experiment("flipped")).info.run_id
    mlflow.log_artifact(run, str(tmp_path / "weights"))

    def down() -> bytes:
        return Path(mlflow.download_artifacts(run, "weights")).read_bytes()

    assert down() == CONTENT
    proxy.when(Flip(5), path="mlflow-artifacts/artifacts/.*/weights")
    assert different(down()) == [5]
    (stored,) = (file for file in s3.folder.rglob("weights") if run in str(file))
    stored.write_bytes(CONTENT[:7] + b"?" + CONTENT[8:])
    with pytest.raises(MlflowException, match="Failed to download artifacts"):
        down()


def test_a_proxy_in_front_of_s3_keeps_signatures_good(s3: Store) -> None:
    with faults(s3.url) as broken:
        objects = replace(s3, url=broken.url).client()
        objects.put_object(Bucket=BUCKET, Key="signed", Body=CONTENT)
        broken.when(Answer(403), method="GET")
        with pytest.raises(objects.exceptions.ClientError, match="403"):
            objects.get_object(Bucket=BUCKET, Key="signed")
        objects.close()
    assert (s3.folder / BUCKET / "signed").read_bytes() == CONTENT
