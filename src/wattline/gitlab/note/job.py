"""`wattline ci note`: write the note of this job's merge request, or a preview of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.gitlab.note import posting
from wattline.gitlab.note.gathering import gather
from wattline.gitlab.note.jobs import Jobs, of_pipeline
from wattline.gitlab.note.marker import Marker, Upload
from wattline.gitlab.note.pictures import upload
from wattline.gitlab.note.posting import Result
from wattline.gitlab.note.render import render
from wattline.gitlab.project import Project, access
from wattline.settings import Settings


def preview(known: Settings, path: Path, *, target: str | None = None) -> None:
    """Write the note to a file: no GitLab is asked, no picture is sent.

    target: branch to compare with; by default that of the merge request, or else the default branch
    """
    branch = target or known.ci_merge_request_target_branch or known.ci_default_branch
    found = gather(known, Jobs(), branch=branch)
    shown = tuple(replace(picture, address=picture.path) for picture in found.pictures)
    files.write_text(path, render(replace(found, pictures=shown)))


def write(known: Settings) -> str:
    """Write the note of the merge request; what came of it, as one line.

    Raises InputError where this is no job of a merge request, or one from a fork, or the token will not do.
    """
    iid, mine = _subject(known)
    access(known)
    with Project.of_job(known) as project:
        found = gather(known, of_pipeline(project, str(mine.pipeline)), branch=_target(known))

        def written(before: Mapping[str, Upload]) -> tuple[str, Marker]:
            shown, uploads = upload(project, found.pictures, folder=Path(), known=before)
            marker = mine.model_copy(update={"plots": uploads})
            return render(replace(found, pictures=tuple(shown)), marker=marker.comment()), marker

        return _told(posting.post(project, iid, mine=mine, write=written), iid, mine)


def _subject(known: Settings) -> tuple[str, Marker]:
    """Which merge request, and which job is asking."""
    if known.from_fork:
        raise InputError(
            f"the merge request of {known.ci_merge_request_source_project_path} comes from a fork, which is given no "
            "token, so nobody may write a note; a member can run the pipeline of a branch in "
            f"{known.ci_merge_request_project_path} instead"
        )
    values = {
        "CI_MERGE_REQUEST_IID": known.ci_merge_request_iid,
        "CI_PROJECT_PATH": known.ci_project_path,
        "CI_PIPELINE_ID": known.ci_pipeline_id,
    }
    absent = [name for name, value in values.items() if not value]
    if absent:
        raise InputError(
            f"{', '.join(absent)} not set: a note needs a merge request, so run this in a pipeline of one; "
            "`wattline ci note --preview FILE` works without"
        )
    for name, value in (
        ("CI_MERGE_REQUEST_IID", known.ci_merge_request_iid),
        ("CI_PIPELINE_ID", known.ci_pipeline_id),
        ("CI_JOB_ID", known.ci_job_id or "0"),
    ):
        if value is None or not value.isdecimal():
            raise InputError(f"{name} is {value!r}, which is no number; GitLab sets it, so unset yours")
    pipeline, job = int(known.ci_pipeline_id or 0), int(known.ci_job_id or 0)
    return str(known.ci_merge_request_iid), Marker(project=str(known.ci_project_path), pipeline=pipeline, job=job)


def _target(known: Settings) -> str:
    return known.ci_merge_request_target_branch or known.ci_default_branch


def _told(result: Result, iid: str, mine: Marker) -> str:
    if result.newer is not None:
        return (
            f"note {result.note} of merge request {iid} is that of pipeline {result.newer}, which is newer than "
            f"{mine.pipeline}; it stays as it is"
        )
    return f"note {result.note} of merge request {iid} {'written' if result.created else 'updated'}"
