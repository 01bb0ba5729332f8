"""The server and MLflow's own tracking server understand each other."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from backends.processes import free_port
from backends.tracking import ENVIRONMENT
from builders import signing_key, write_candidate, write_data, write_keys, write_reports

from tests.registry.project import commit, opened, promote, register, rollback
from wattline import files
from wattline.params.serving import ModelParams
from wattline.records import Champion
from wattline.registry import alias
from wattline.serving import web
from wattline.serving.versions import loading
from wattline.serving.versions.loading import Loaded, LoadError
from wattline.serving.versions.newest import Newest
from wattline.serving.versions.origin import RegistryOrigin
from wattline.serving.versions.succession import Succession
from wattline.settings import settings

pytestmark = pytest.mark.slow
NAME = "anomaly"
SECONDS_TO_START = 240
MODEL = ModelParams(origin="registry", signature="required", trusted_keys=(), poll_seconds=0, reload_seconds=60)


class Mlflow:
    """A tracking server in its own process group: killing its parent alone would leave its workers."""

    def __init__(self, folder: Path) -> None:
        self._port, self._folder = free_port(), folder
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=os.environ | ENVIRONMENT, cwd=self._folder
            )
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx.get(f"{self.uri}/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    server = Mlflow(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


def publish(weights: bytes, champion: Champion | None = None) -> tuple[str, Champion]:
    """Register and promote a candidate that was compared with `champion`; returns its version."""
    shutil.rmtree(files.CANDIDATE, ignore_errors=True)
    written = write_candidate(files.CANDIDATE, weights=weights, golden=True)
    write_reports(files.REPORTS, written, champion=champion)
    for name, text in (("anomaly.md", "# anomaly\n"), ("anomaly.cdx.json", "{}\n")):
        files.write_text(files.CARDS / name, text)
    version = register()
    promote(version)
    return version, Champion(name=NAME, version=version, digest=written.digest)


def load(copy: Path) -> Loaded:
    trusted = (signing_key().public,)
    return loading.load(copy, model=MODEL, trusted=trusted, threads=1, device="cpu", maximum_windows=2, champion=True)


def served_by(newest: Newest) -> str | None:
    """Version of what is loaded now; None where nothing is."""
    loaded = newest()
    return loaded.version if loaded else None


def test_what_was_registered_and_promoted_there_is_served_from_there_and_without_it(
    mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.uri)
    monkeypatch.setenv("WATTLINE_STATE", str(tmp_path / ".wattline"))
    monkeypatch.setenv("WATTLINE_LEDGER_URI", f"sqlite:///{tmp_path}/.wattline/ledger.db")
    for variable in ("WATTLINE_SIGNING_KEY", "WATTLINE_SIGNING_PASSPHRASE", "CI", "CI_JOB_URL", "CI_JOB_MANUAL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(web, "BACKOFF_SECONDS", 0.01)
    settings.cache_clear()
    write_keys(tmp_path / ".wattline" / "keys")
    write_data(files.RAW, files.PREPARED)
    commit(tmp_path)
    following = Succession(tmp_path / ".wattline" / "accepted.json").following
    champion = RegistryOrigin(mlflow.uri, NAME, "champion", cache=tmp_path / ".wattline" / "cache")
    newest = Newest(champion, load, following=following)
    with pytest.raises(LoadError, match="wattline promote"):
        newest()

    first, then = publish(b"first")
    loaded = newest()
    assert loaded is not None
    assert (loaded.name, loaded.version) == (NAME, first)
    assert newest() is None

    second, _ = publish(b"second", then)
    assert served_by(newest) == second != first
    with opened() as model:
        model.client.set_registered_model_alias(NAME, "champion", first)
        with pytest.raises(LoadError, match="may not follow") as stale:
            newest()
        assert stale.value.reason == "stale"
        alias.settle(model)
    assert served_by(newest) == second
    rollback(first)
    assert served_by(newest) == first
    nobody = RegistryOrigin(mlflow.uri, NAME, "nobody", cache=tmp_path / "other")
    with pytest.raises(LoadError, match="has no nobody"):
        nobody.fetch()
    nobody.close()

    mlflow.stop()
    with pytest.raises(LoadError) as caught:
        newest()
    assert caught.value.reason == "unreachable"
    restarted = RegistryOrigin(mlflow.uri, NAME, "champion", cache=tmp_path / ".wattline" / "cache")
    again = Newest(restarted, load, following=following)
    assert served_by(again) == first
    mlflow.start()
    promote(second)
    assert served_by(again) == second
    for one in (champion, restarted):
        one.close()
    settings.cache_clear()
