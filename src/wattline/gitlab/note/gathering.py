"""Collect what the note tells: reports of both sides, what the change touches, how the jobs ended."""

import json
from collections.abc import Mapping
from pathlib import Path

from wattline import files, params
from wattline.errors import InputError
from wattline.gitlab.note import repository
from wattline.gitlab.note.inputs import Touched, touched
from wattline.gitlab.note.jobs import Jobs
from wattline.gitlab.note.known import HOW, Known, Places
from wattline.gitlab.note.pictures import pictures
from wattline.gitlab.note.reports import STAGES, from_tree, read
from wattline.records import Champion, Metric
from wattline.settings import Settings

RUNS = "ci/stages*.json"
"""Below reports/: stage -> how it came about, as each job of the pipeline left it; see `known.HOW`."""
JUDGED = "validate"
"""The job whose artifacts are the reports, in every form of the pipeline."""


def gather(known: Settings, jobs: Jobs, *, branch: str) -> Known:
    """All that is known in the folder we are in.

    branch: the target branch
    """
    base = repository.base(branch, known=known.ci_merge_request_diff_base_sha)
    change = touched(base.changed, before=base.reader, now=from_tree) if base.changed is not None else None
    left = leftover(jobs, change)
    return Known(
        now=read(from_tree, without=left),
        before=read(base.reader),
        base=base,
        leftover=tuple(stage for stage in STAGES if stage in left),
        touched=change,
        jobs=jobs,
        metrics=_metrics(),
        champion=_champion(),
        runs=_runs(),
        places=places(known, jobs),
        pictures=tuple(pictures(Path(), without=left)),
    )


def leftover(jobs: Jobs, change: Touched | None) -> frozenset[str]:
    """Stages whose report came with the commit and not from this pipeline: it was not made anew, but should have been.

    Without this, a run that failed early would show the decision on the candidate before.
    """
    made = any(job.makes_the_candidate for job in jobs.all)
    needed = change is None or change.any
    if not jobs.asked or not (jobs.broken or (needed and not made)):
        return frozenset()
    paths = {stage: str(files.report_path(stage)) for stage in STAGES}
    return frozenset(
        stage
        for stage, path in paths.items()
        if (content := from_tree(path)) is not None and content == repository.content("HEAD", path)
    )


def places(known: Settings, jobs: Jobs) -> Places:
    """Where to look further. The commit is that of the source branch, also where GitLab judged its merge."""
    judged = jobs.named(JUDGED)
    return Places(
        commit=known.ci_merge_request_source_branch_sha or known.ci_commit_sha,
        project=known.ci_project_url,
        pipeline=known.ci_pipeline_url,
        job=known.ci_job_url,
        artifacts=f"{judged.place}/artifacts" if judged and judged.place and not judged.failed else None,
        card=_card(),
    )


def _card() -> str:
    try:
        return str(files.CARDS / f"{params.load().task.name}.md")
    except InputError:
        return ""


def _metrics() -> Mapping[str, Metric]:
    """Unit and direction of every metric. A task that cannot be imported takes no figure from the note."""
    try:
        description = params.load_task(params.load().task).description
    except InputError:
        return {}
    return {metric.name: metric for metric in description.metrics}


def _champion() -> Champion | None:
    try:
        return files.read_record(files.CHAMPION / "champion.json", Champion)
    except (InputError, OSError):
        return None


def _runs() -> dict[str, str]:
    """What all jobs say together: a stage that ran in one of them was taken from the cache by those after it."""
    said: dict[str, str] = {}
    for path in sorted(files.REPORTS.glob(RUNS)):
        for stage, how in _object(path).items():
            if how in HOW:
                said[stage] = min(how, said.get(stage, how), key=HOW.index)
    return said


def _object(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
