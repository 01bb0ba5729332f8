"""A training is logged once, with its origin, and quietly."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import training_energy

from wattline import files
from wattline.errors import WattlineError
from wattline.records import Candidate
from wattline.registry import store, tracking

PARAMS: dict[str, str | float | int] = {"steps": 4, "ridge": 0.1, "model": "mean-abs"}
CURVES = [{"loss": 1.0 / (epoch + 1)} for epoch in range(30)]


@pytest.fixture
def candidate(project: Path) -> Candidate:
    return files.read_record(files.CANDIDATE / "candidate.json", Candidate)


def test_a_run_names_what_was_trained_from_what_and_what_it_took(candidate: Candidate):
    Path("dvc.lock").write_text("stages: {}\n")
    run_id = tracking.log_training(candidate, params=PARAMS, curves=CURVES, energy=training_energy(300))
    with store.session() as client:
        run = client.get_run(run_id)
        history = client.get_metric_history(run_id, "loss")
        assert client.get_experiment(run.info.experiment_id).name == "anomaly"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"steps": "4", "ridge": "0.1", "model": "mean-abs"}
    assert run.data.tags["wattline.candidate"] == candidate.digest
    assert run.data.tags["wattline.data"] == candidate.data
    assert run.data.tags["wattline.lock"] == files.sha256(Path("dvc.lock"))
    assert run.data.tags["wattline.training_energy"] == "estimated: CPU time x 12.5 W/core"
    assert run.data.metrics["training_energy_joules"] == 300
    assert run.data.metrics["training_energy_kwh"] == 300 / 3.6e6
    assert run.data.metrics["training_attempts"] == 2
    assert run.data.metrics["parity_max_abs"] == candidate.parity_max_abs
    assert [(point.step, point.value) for point in history] == [(i, row["loss"]) for i, row in enumerate(CURVES)]


def test_the_same_training_is_logged_once_and_other_params_again(candidate: Candidate):
    first = tracking.log_training(candidate, params=PARAMS, curves=CURVES)
    assert tracking.log_training(candidate, params=PARAMS, curves=CURVES) == first
    assert tracking.log_training(candidate, params=PARAMS | {"ridge": 0.2}, curves=CURVES) != first


def test_more_figures_and_params_than_one_call_takes_are_all_logged(candidate: Candidate):
    curves = [{"loss": float(step), "gradient": math.nan} for step in range(700)]
    params: dict[str, str | float | int] = {f"p{place}": place for place in range(230)}
    run_id = tracking.log_training(candidate, params=params, curves=curves)
    with store.session() as client:
        assert len(client.get_metric_history(run_id, "loss")) == 700
        assert len(client.get_run(run_id).data.params) == 230


def test_a_training_that_could_not_be_logged_whole_does_not_count_as_logged(candidate: Candidate):
    with pytest.raises(WattlineError, match="MLflow store"):
        tracking.log_training(candidate, params={"not / a : name?": 1} | PARAMS, curves=CURVES)
    with store.session() as client:
        assert [run.info.status for run in tracking.runs(client, candidate)] == ["FAILED"]
    run_id = tracking.log_training(candidate, params=PARAMS, curves=CURVES)
    with store.session() as client:
        assert client.get_run(run_id).info.status == "FINISHED"


def test_the_commit_is_unknown_outside_a_repository_and_known_inside(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    shutil.rmtree(project / ".git")
    assert tracking.commit() == "unknown"
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    assert len(tracking.commit()) == 40
    monkeypatch.setenv("PATH", str(project))
    assert tracking.commit() == "unknown"


def test_a_deleted_experiment_is_named_with_its_remedy(candidate: Candidate):
    with store.session() as client:
        client.delete_experiment(store.experiment(client, "anomaly"))
    with pytest.raises(WattlineError, match=r"anomaly.*restore"):
        tracking.log_training(candidate, params=PARAMS, curves=CURVES)


def test_logging_into_a_new_store_says_nothing_and_writes_nowhere_else(project: Path, candidate: Candidate):
    (project / ".wattline" / "mlflow.db").unlink()
    before = {path.name for path in project.iterdir()}
    code = (
        "from wattline import files; from wattline.records import Candidate; from wattline.registry import tracking\n"
        "record = files.read_record(files.CANDIDATE / 'candidate.json', Candidate)\n"
        "tracking.log_training(record, params={'a': 1}, curves=[{'loss': 1.0}])\n"
    )
    environment = {"HOME": str(project / "home"), "TMPDIR": str(project / "models"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name for path in project.iterdir()} == before
    assert (project / ".wattline" / "mlflow.db").is_file()


def test_an_unreachable_server_is_one_error_that_keeps_its_password(unreachable: Path):
    candidate = files.read_record(files.CANDIDATE / "candidate.json", Candidate)
    with pytest.raises(WattlineError) as caught:
        tracking.log_training(candidate, params=PARAMS, curves=CURVES)
    assert "127.0.0.1:9" in str(caught.value)
    assert "no answer" in str(caught.value)
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
