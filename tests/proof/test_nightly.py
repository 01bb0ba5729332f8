"""The champion is made again every night, or it is said why it is not; nothing is green by mistake."""

import json
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from reproduction.tiny import dvc, git

from tests.proof.site import Said, Site
from wattline.reproduction import Result

REPORT = Path("reports/ci/reproduce.json")
WIRING = """
stages:
  ingest:
    cmd: mkdir -p data/raw && cp kept/raw/* data/raw
    deps: [kept/raw]
    outs: [data/raw]
  train:
    cmd: mkdir -p models && cp -r kept/candidate models/candidate
    deps: [kept/candidate, data/raw]
    outs: [models/candidate]
  note:
    cmd: mkdir -p reports && NOTE > reports/note.txt
    deps: [models/candidate]
    outs: [reports/note.txt]
"""
LOCKS = {"requirements/core.lock": "pydantic", "requirements/torch-cpu.lock": "torch"}


def promoted(site: Site, *, note: str, remote: Path | None = None) -> None:
    """Let the candidate come from a pipeline, and make it the champion.

    remote: where its rows are afterwards, and nowhere else; None: in the cache
    """
    folder = site.folder
    for kept, made in (("raw", "data/raw"), ("candidate", "models/candidate")):
        shutil.copytree(folder / made, folder / "kept" / kept)
    (folder / "dvc.yaml").write_text(WIRING.replace("NOTE", note))
    (folder / "requirements").mkdir()
    for name, package in LOCKS.items():
        (folder / name).write_text(f"{package}=={metadata.version(package)} --hash=sha256:00\n")
    (folder / "dvc.lock").unlink()
    dvc(folder, "init", "--quiet")
    dvc(folder, "repro")
    if remote is not None:
        dvc(folder, "remote", "add", "--local", "--default", "kept", str(remote))
        dvc(folder, "push")
        dvc(folder, "remote", "remove", "--local", "kept")
        shutil.rmtree(folder / ".dvc" / "cache")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a pipeline")
    site.register()
    site.promote()


@pytest.fixture
def nightly(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[[], Said]:
    return lambda: site.run(capsys, "ci", "nightly")


def test_the_champion_is_made_again_bit_by_bit_with_the_rows_of_the_jobs_remote(site, nightly, tmp_path, monkeypatch):
    promoted(site, note="echo always the same", remote=tmp_path / "remote")
    monkeypatch.setenv("WATTLINE_DVC_REMOTE", str(tmp_path / "remote"))
    said = nightly()
    assert said.code == 0, said.out + said.err
    assert "BIT-IDENTICAL: anomaly-simulator version 1" in said.out
    result = Result.from_json((site.folder / REPORT).read_bytes())
    assert (result.identical, result.data, result.version) == (True, "remote", "1")


def test_a_file_that_differs_is_named_and_ends_with_1(site, nightly):
    promoted(site, note="date +%s%N")
    said = nightly()
    assert said.code == 1, said.out + said.err
    assert said.out.splitlines()[-1] == "nightly: reports/note.txt of note is different"
    assert json.loads((site.folder / REPORT).read_bytes())["first"] == "note"


def test_a_challenger_is_no_champion(site, nightly):
    site.register()
    said = nightly()
    assert (said.code, said.out) == (0, "nightly: anomaly-simulator has no champion yet, so nothing is made again\n")


def test_a_report_of_another_night_does_not_stay(site, nightly):
    (site.folder / REPORT).parent.mkdir(parents=True)
    (site.folder / REPORT).write_text("{}")
    nightly()
    assert not (site.folder / REPORT).exists()


def test_a_champion_that_cannot_be_made_again_here_ends_with_2(site, nightly):
    site.register()
    site.promote()
    said = nightly()
    assert said.code == 2
    assert "holds no DVC project" in said.err


def test_a_runner_that_does_not_know_where_the_registry_is_ends_with_2(site, nightly, monkeypatch):
    (site.folder / ".wattline/mlflow.db").unlink()
    assert nightly().code == 0
    monkeypatch.setenv("CI", "true")
    said = nightly()
    assert said.code == 2
    assert "MLFLOW_TRACKING_URI is not set" in said.err
