"""A look reads what the server's own code wrote, says what it found, and is never green where it could not read."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from builders import UNITS, write_served
from gitlab import standin
from gitlab.standin import API, Server
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families

from tests.builders import signing_key
from tests.monitoring.project import NAMES, SAMPLES, Change, Project, values
from tests.serving import running
from wattline import files
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.gitlab import project as connection
from wattline.monitoring import report
from wattline.monitoring.records import Look
from wattline.records import Champion
from wattline.task import FloatArray


def outcomes(look: Look) -> dict[str, str]:
    return {one.name: one.outcome for one in look.signals}


def changed(column: str, change: Callable[[FloatArray], FloatArray | float]) -> Change:
    def applied(unit: str, rows: FloatArray) -> FloatArray:
        rows = rows.copy()
        rows[:, NAMES.index(column)] = change(rows[:, NAMES.index(column)])
        return rows

    return applied


SHIFTED = changed("temperature", lambda old: old + 8)


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch, project: Project) -> Iterator[Server]:
    """A GitLab of which this is a scheduled job."""
    monkeypatch.setattr(connection, "BACKOFF_SECONDS", 0.01)
    with standin.running() as server:
        project.environment = {
            "CI": "true", "CI_API_V4_URL": server.root, "CI_PROJECT_ID": "42", "WATTLINE_GITLAB_TOKEN": API,
            "CI_JOB_NAME": "monitor", "CI_DEFAULT_BRANCH": "main",
        }  # fmt: skip
        yield server


def scheduled(server: Server, project: Project, number: int) -> Look:
    """One look as a job of a schedule on a fresh runner: what it leaves is kept as an artifact."""
    at = f"2026-11-01T00:00:{number - 600:02}.000Z"
    server.state.pipelines.append(
        {"id": number, "ref": "main", "source": "schedule", "status": "success", "created_at": at, "updated_at": at}
    )
    server.state.jobs.append({"id": number + 1000, "name": "monitor", "pipeline": {"id": number}, "status": "running"})
    shutil.rmtree(project.folder / "reports", ignore_errors=True)
    (project.folder / ".wattline/monitor.json").unlink(missing_ok=True)
    project.environment["CI_PIPELINE_ID"] = str(number)
    look = project.look(since=datetime.now(UTC) - timedelta(days=1))
    server.state.artifacts[f"{number + 1000}/reports/monitor.json"] = (
        project.folder / "reports/monitor.json"
    ).read_bytes()
    return look


def test_what_is_served_as_trained_is_quiet_and_all_reports_are_there(project: Project):
    project.served(300)
    project.observed(7)
    project.knobs(drift={"minimum_rows": 20})
    look = project.look()
    assert outcomes(look) == {"inputs": "quiet", "scores": "quiet", "labels": "unknown", "energy": "unknown"}
    assert look.decision.retrain is False
    assert (look.scores.rows, look.inputs.rows) == (900, 21)
    assert Look.from_json((project.folder / "reports/monitor.json").read_bytes()).to_json() == look.to_json()
    assert (project.folder / "reports/monitor/drift.png").read_bytes().startswith(b"\x89PNG")
    found = {one.name for one in families((project.folder / "reports/ci/monitor.txt").read_text())}
    assert {"wattline_monitor_alarm", "wattline_monitor_unknown", "wattline_monitor_retrain"} <= found
    assert [line.split()[0] for line in report.lines(look)] == [
        "looked",
        "inputs",
        "scores",
        "labels",
        "energy",
        "rule",
        "pipeline",
    ]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (SHIFTED, "temperature"),
        (changed("power", lambda old: old[0]), "power"),
        (changed("power", lambda old: np.nan), "power"),
    ],
    ids=["shift", "stuck", "missing"],
)
def test_drift_of_samples_that_the_server_kept_is_found_by_column(project: Project, change: Change, column: str):
    project.served(100)
    project.observed(7, change)
    project.knobs(drift={"minimum_rows": 20})
    look = project.look()
    assert column in look.inputs.drifted
    assert outcomes(look)["inputs"] == "alarm"


def test_drift_of_new_rows_is_found_also_where_a_column_is_absent(project: Project):
    look = project.look(rows=project.snapshot(400, names=NAMES[:2]))
    assert look.inputs.drifted == ("load",)
    assert "load (100% missing, were 0%)" in look.signals[0].reason
    look = project.look(rows=project.snapshot(400, changed("load", lambda old: (old - 40) * 3 + 40)))
    assert look.inputs.drifted == ("load",)
    look = project.look(rows=project.snapshot(400))
    assert outcomes(look)["inputs"] == outcomes(look)["scores"] == "quiet"
    assert look.scores.rows == 3 * (400 - 3), "a window has four rows"


def test_drift_of_scores_is_found_and_takes_two_looks(project: Project):
    project.served(200, SHIFTED)
    project.observed(3)
    first = project.look()
    assert outcomes(first)["scores"] == "alarm"
    assert first.decision.reason == "an alarm, but not yet in enough looks in a row: scores 1 of 2"
    again = project.look()
    assert again.since == first.until
    assert outcomes(again)["scores"] == "unknown", "nothing new was served"
    assert again.state.streaks["scores"] == 1
    second = project.look(since=first.since)
    assert second.decision.by == ("scores",)
    assert second.retraining.outcome == "no GitLab"


def test_answers_of_others_than_the_champion_count_for_nothing(project: Project):
    project.served(100, SHIFTED, digest="0" * 64)
    project.served(100, SHIFTED, role="shadow")
    project.served(30, units=["stranger"])
    project.observed(3)
    look = project.look()
    assert (look.scores.rows, look.scores.unknown_rows) == (0, 30)
    assert outcomes(look)["scores"] == "unknown"


def test_alarms_that_people_dismissed_are_counted(project: Project):
    names = project.served(100)
    project.observed(3)
    project.labelled(names[:38], 0)
    project.labelled(names[38:40], 1)
    project.labelled(names[40:50], None)
    look = project.look()
    assert (look.labels.labelled, look.labels.confirmed) == (40, 2)
    assert outcomes(look)["labels"] == "alarm"


def test_a_schedule_remembers_through_gitlab_and_opens_one_retraining(project: Project, gitlab: Server):
    looks = []
    project.observed(3)
    for number in (601, 602, 603):
        project.served(100, SHIFTED, seed=number)
        looks.append(scheduled(gitlab, project, number))
    assert [one.previous for one in looks] == [None, "job 1601 of pipeline 601", "job 1602 of pipeline 602"]
    assert [one.retraining.outcome for one in looks] == ["not asked for", "opened", "cooling down"]
    assert [one["id"] for one in gitlab.state.pipelines if one["source"] == "api"] == [looks[1].retraining.pipeline]
    assert not (project.folder / ".wattline/monitor.json").exists()


def test_a_dry_run_writes_the_report_and_opens_nothing(project: Project, gitlab: Server):
    project.served(100, SHIFTED)
    project.observed(3)
    project.knobs(rule={"looks": 1})
    look = project.look(dry_run=True)
    assert look.retraining.outcome == "would be opened"
    assert gitlab.state.writes == []


def test_a_job_without_a_token_is_told_to_set_one(project: Project, gitlab: Server):
    project.served(100)
    del project.environment["WATTLINE_GITLAB_TOKEN"]
    with pytest.raises(InputError, match="WATTLINE_GITLAB_TOKEN is not set"):
        project.look()
    project.environment["WATTLINE_GITLAB_TOKEN"] = "glpat-" + "unknown"
    with pytest.raises(InputError, match="did not accept the token"):
        project.look()
    assert gitlab.state.writes == []


def no_champion(project: Project) -> None:
    (project.folder / "champion/champion.json").unlink()


def no_reference(project: Project) -> None:
    shutil.rmtree(project.folder / "data/prepared")


def no_log(project: Project) -> None:
    shutil.rmtree(project.folder / ".wattline/predictions")


def no_samples(project: Project) -> None:
    (project.folder / SAMPLES).unlink()


def strange_samples(project: Project) -> None:
    (project.folder / SAMPLES).write_bytes(b"something else" * 100)


def other_data(project: Project) -> None:
    path = project.folder / "data/prepared/manifest.json"
    path.write_text(re.sub(r'"data": "[0-9a-f]{64}"', f'"data": "{"f" * 64}"', path.read_text()))


def changed_bytes(project: Project) -> None:
    path = project.folder / f"data/prepared/train/{UNITS[0]}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def unsigned(project: Project) -> None:
    write_served(project.folder / "champion", signing_key(seed=5))


def no_metrics(project: Project) -> None:
    project.knobs(energy={"metrics": "absent.txt"})


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (no_champion, "run `wattline champion`"),
        (no_reference, r"manifest\.json is missing, the reference of drift"),
        (no_log, "is missing, the server's log of answers; WATTLINE_SERVED says"),
        (no_samples, "is missing, the server's file of samples"),
        (strange_samples, "cannot be read as the server's file of samples"),
        (other_data, "is of the dataset ffffffffffff, the champion was trained on"),
        (changed_bytes, "was changed after `prepare` wrote it"),
        (unsigned, "trusted"),
        (no_metrics, r"monitoring\.energy\.metrics: absent\.txt cannot be read"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_no_report_is_left(project: Project, break_it, message: str):
    project.served(20)
    project.observed(3)
    break_it(project)
    with pytest.raises((InputError, IntegrityError), match=message) as caught:
        project.look()
    assert isinstance(caught.value, WattlineError)
    assert caught.value.exit_code == 2
    assert not (project.folder / "reports").exists()


def test_without_a_champion_there_is_nothing_to_look_at_unless_nobody_knows(project: Project):
    files.write_text(project.folder / "champion/champion.json", Champion().to_json())
    assert project.run() is None
    project.environment = {"CI": "true"}
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI is not set"):
        project.run()


@pytest.mark.parametrize("content", [b"no parquet", None])
def test_new_rows_that_are_none_are_refused_by_name(project: Project, content: bytes | None):
    folder = project.folder / "new"
    folder.mkdir()
    if content is not None:
        (folder / "node-01.parquet").write_bytes(content)
    with pytest.raises(InputError, match=str(folder)):
        project.look(rows=folder)


def test_a_real_server_is_looked_at_its_energy_too(project: Project):
    now, rows = datetime.now(UTC), {unit: values(200, unit, seed=9) for unit in UNITS}
    with running.running(project.folder) as server, running.client(server.address) as client:
        for unit, kept in rows.items():
            samples = [
                {"unit": unit, "timestamp": at.isoformat(), "values": dict(zip(NAMES, row.tolist(), strict=True))}
                for row, at in zip(kept, (now - timedelta(minutes=200 - place) for place in range(200)), strict=True)
            ]
            answered = client.post("/observe", json={"samples": samples})
            assert answered.status_code == 200, answered.text
        metrics = client.get("/metrics").text
        project.knobs(
            energy={"metrics": f"{server.address}/metrics", "minimum_predictions": 100}, drift={"minimum_rows": 20}
        )
        by_address = verb(project.folder, "--dry-run")
        server.end()
    assert by_address.returncode == 0, by_address.stderr
    said = json.loads((project.folder / "reports/monitor.json").read_text())
    assert {one["name"]: one["outcome"] for one in said["signals"]} == {
        "inputs": "quiet", "scores": "quiet", "labels": "unknown", "energy": "quiet",
    }  # fmt: skip
    assert said["energy"]["provenance"] == "estimated"
    assert said["energy"]["predictions"] == said["scores"]["rows"] == 3 * (200 - 3)
    assert 0 < said["energy"]["inference_per_1000"] < said["energy"]["server_per_1000"]
    (project.folder / "said.txt").write_text(metrics)
    project.knobs(energy={"metrics": "said.txt"})
    assert project.look().energy is not None


def verb(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`wattline monitor`, outside of any CI."""
    unset = ["CI", "CI_API_V4_URL", "CI_PROJECT_ID", "WATTLINE_SERVED", "WATTLINE_STATE", "MLFLOW_TRACKING_URI"]
    command = ["env", *(word for name in unset for word in ("-u", name)), sys.executable, "-m", "wattline", "monitor"]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
