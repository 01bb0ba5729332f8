"""A merge request in a repository of its own: the target branch has reports, the change has others."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import DATASET, evaluation, training_energy, write_candidate, write_reports

from gitlab import standin
from gitlab.standin import API, PROJECT, Server
from gitlab.standin import pipelines as standin_pipelines
from wattline import charts
from wattline.gitlab.note import job
from wattline.records import Candidate, Champion, Decision, Validation
from wattline.settings import Settings

ROOT = Path(__file__).parents[3]
PATH = "energy/models"
PIPELINE = 601


class MergeRequest:
    """A checkout of a merge request, with what data_prep, train and validate left in it."""

    def __init__(self, folder: Path, server: Server, environment: pytest.MonkeyPatch) -> None:
        self.folder, self.server, self.environment = folder, server, environment
        self.candidate = write_candidate(folder / "models" / "candidate", weights=b"those of the change")

    @property
    def notes(self) -> list[dict[str, Any]]:
        return self.server.state.notes

    @property
    def body(self) -> str:
        assert len(self.notes) == 1
        return str(self.notes[0]["body"])

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, content: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(content)
        self.git("add", "-A", path)
        self.git("commit", "-qm", f"change {path}")

    def judge(self, *, failed: tuple[str, ...] = (), champion: Champion | None = None) -> Decision:
        """Leave the reports and pictures of a pipeline that ran through."""
        write_stages(self.folder, self.candidate, span=7.0)
        decision = write_reports(self.folder / "reports", self.candidate, failed=failed, champion=champion)
        (self.folder / "reports" / "evaluate").mkdir(exist_ok=True)
        picture = charts.contenders(evaluation(self.candidate))
        (self.folder / "reports" / "evaluate" / "contenders.png").write_bytes(picture)
        return decision

    def pipeline(self, number: int = PIPELINE, **ended: str) -> None:
        """How the jobs of a pipeline ended; without any, they all did well."""
        state = self.server.state
        token = state.tokens[API]
        standin_pipelines.started(state, token, "topic/new-scale", [], source="merge_request_event", id=number)
        for name, stage in (("data_prep", "data_prep"), ("train", "train"), ("validate", "validate")):
            standin_pipelines.job(state, name, pipeline=number, stage=stage, status=ended.get(name, "success"))
        self.environment.setenv("CI_PIPELINE_ID", str(number))

    def write(self) -> str:
        """What `wattline ci note` says."""
        return job.write(Settings())


def write_stages(folder: Path, candidate: Candidate, *, span: float) -> None:
    """Write the reports of ingest, validate and train, as those stages do."""
    reports = folder / "reports"
    reports.mkdir(exist_ok=True)
    rows = {"data": DATASET.id, "dataset": "simulator", "source": "simulator", "units": 3, "rows": 1000}
    trained = {"candidate": candidate.digest, "model": candidate.model, "parameters": 4, "epochs": 1}
    write_json(reports / "ingest.json", rows | {"span_days": span, "columns": 3})
    write_json(reports / "train.json", trained)
    found = Validation(data=DATASET.id, rows=1000, units=3, expectations=12)
    (reports / "validate.json").write_text(found.to_json())
    (reports / "train_energy.json").write_text(training_energy().to_json())


def write_json(path: Path, said: dict[str, Any]) -> None:

    path.write_text(json.dumps(said))


@pytest.fixture
def server() -> Iterator[Server]:
    with standin.running() as running:
        yield running


@pytest.fixture
def merge_request(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> MergeRequest:
    """A change to a source of the task, judged nowhere yet; the target branch has reports of another candidate."""
    for name in [name for name in os.environ if name.startswith(("CI_", "WATTLINE_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = MergeRequest(folder, server, monkeypatch)
    made.git("init", "-qb", "main")
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "src").mkdir()
    (folder / "src" / "project").symlink_to(ROOT / "src" / "project")
    before = write_candidate(tmp_path / "before", weights=b"those of the target branch")
    write_stages(folder, before, span=6.0)
    write_reports(folder / "reports", before)
    (folder / ".gitignore").write_text("src/\nmodels/\n")
    made.git("add", "-A")
    made.git("commit", "-qm", "main")
    made.git("switch", "-qc", "topic/new-scale")
    made.commit("data/external/rows.csv", "1\n")
    for name, value in {
        "CI_API_V4_URL": server.root,
        "CI_PROJECT_ID": PROJECT,
        "CI_PROJECT_PATH": PATH,
        "CI_PROJECT_URL": f"https://gitlab.example.org/{PATH}",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_PROJECT_PATH": PATH,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": PATH,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_PIPELINE_ID": str(PIPELINE),
        "CI_PIPELINE_URL": f"https://gitlab.example.org/{PATH}/-/pipelines/{PIPELINE}",
        "CI_JOB_ID": "9100",
        "CI_COMMIT_SHA": made.git("rev-parse", "HEAD"),
        "WATTLINE_GITLAB_TOKEN": API,
    }.items():
        monkeypatch.setenv(name, value)
    return made
