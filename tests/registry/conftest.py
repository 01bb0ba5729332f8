"""A project folder with an accepted candidate, and a local MLflow store of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import write_candidate, write_data, write_keys, write_reports

from tests.registry.project import commit
from wattline import files
from wattline.registry import store
from wattline.settings import settings

VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "WATTLINE_STATE",
    "WATTLINE_SIGNING_KEY",
    "WATTLINE_SIGNING_PASSPHRASE",
    "WATTLINE_LEDGER_URI",
    "CI",
    "CI_JOB_URL",
    "CI_JOB_MANUAL",
    "GITLAB_USER_LOGIN",
    "WATTLINE_OFFLINE",
)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store without content: migrating takes seconds, copying does not."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTLINE_STATE", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(tempfile, "tempdir", str(folder))  # MLflow leaves its migration lock there
        settings.cache_clear()
        with store.session() as client:
            client.search_experiments()
    settings.cache_clear()
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with models/candidate, reports, a card named "anomaly" and a key pair."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / ".wattline").mkdir()
    shutil.copyfile(empty_store, tmp_path / ".wattline" / "mlflow.db")
    settings.cache_clear()
    write_keys(tmp_path / ".wattline" / "keys")
    write_data(files.RAW, files.PREPARED)
    write_reports(files.REPORTS, write_candidate(files.CANDIDATE))
    files.write_text(files.CARDS / "anomaly.md", "# anomaly\n")
    files.write_text(files.CARDS / "anomaly.cdx.json", "{}\n")
    commit(tmp_path)
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def unreachable(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with a tracking server that nobody runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://name:secret@127.0.0.1:9")
    settings.cache_clear()
    yield project
    settings.cache_clear()
