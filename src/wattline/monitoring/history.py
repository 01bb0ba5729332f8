"""The state that the last look left: among the artifacts of its job in GitLab, or in a file where there is no GitLab.

A runner keeps nothing, and the latest artifacts of a branch are those of whatever pipeline came last. So pipelines of
schedules are gone through, the newest first, until one has a job that left reports/monitor.json.
"""

from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from wattline import files
from wattline.gitlab.answers import AccessError
from wattline.gitlab.project import Project
from wattline.monitoring.records import Look, State

REPORT = "reports/monitor.json"
FILE = "monitor.json"
JOB = "monitor"
PIPELINES = 50
"""Scheduled pipelines that are gone through; with nightly ones between, this is weeks."""


def of_project(project: Project, *, ref: str, own_pipeline: str | None, job: str = JOB) -> tuple[State, str] | None:
    """State of the newest look among scheduled pipelines on `ref`, and where it came from; None where there is none.

    own_pipeline: id of the one that this look belongs to, which is passed over
    job: name of the jobs that look
    """
    query = {"source": "schedule", "ref": ref, "order_by": "id", "sort": "desc"}
    for pipeline in islice(project.rows("pipelines", query), PIPELINES):
        if str(pipeline["id"]) == own_pipeline:
            continue
        for one in project.rows(f"pipelines/{pipeline['id']}/jobs"):
            state = _left(project, int(one["id"])) if one["name"] == job else None
            if state is not None:
                return state, f"job {one['id']} of pipeline {pipeline['id']}"
    return None


def of_folder(folder: Path) -> tuple[State, str] | None:
    """State that a look left in WATTLINE_STATE. Raises InputError for a file that is something else."""
    path = folder / FILE
    return (files.read_record(path, State), str(path)) if path.exists() else None


def keep(state: State, folder: Path) -> None:
    """Leave the state to the next look from here."""
    files.write_text(folder / FILE, state.to_json())


def _left(project: Project, job: int) -> State | None:
    """What a job left; None where it left nothing, its artifacts have expired, or another release wrote them."""
    try:
        return Look.model_validate(project.get(f"jobs/{job}/artifacts/{REPORT}")).state
    except AccessError as error:
        if error.status != 404:
            raise
    except ValidationError:
        pass
    return None
