"""How the jobs of this pipeline ended, as GitLab tells it."""

from collections.abc import Iterable
from dataclasses import dataclass

from wattline.gitlab.answers import AccessError, Reply
from wattline.gitlab.project import Project

MODEL = ("data_prep", "train", "validate")
"""GitLab stages that make and judge a candidate."""
OURS = ("note", "lock")
"""Jobs of those stages that make nothing of it."""
FAILED = ("failed", "canceled", "canceling", "skipped")


@dataclass(frozen=True)
class Job:
    """A job that was asked for.

    place: address of its page
    """

    name: str
    stage: str
    status: str
    place: str
    id: int = 0

    @property
    def makes_the_candidate(self) -> bool:
        return self.stage in MODEL and self.name not in OURS

    @property
    def failed(self) -> bool:
        return self.status in FAILED


@dataclass(frozen=True)
class Jobs:
    """All jobs of a pipeline, child pipelines as one job each.

    asked: whether GitLab was asked, which a preview does not; known: whether it told
    """

    all: tuple[Job, ...] = ()
    asked: bool = False
    known: bool = False

    @property
    def failed(self) -> tuple[Job, ...]:
        """Those that failed and may not."""
        return tuple(job for job in self.all if job.failed and job.name not in OURS)

    @property
    def broken(self) -> tuple[Job, ...]:
        """Those of them without which there is no candidate to judge; first what failed, then what was left out."""
        found = [job for job in self.failed if job.makes_the_candidate]
        return tuple(sorted(found, key=lambda job: job.status == "skipped"))

    def named(self, name: str) -> Job | None:
        return next((job for job in self.all if job.name == name), None)


def of_pipeline(project: Project, pipeline: str) -> Jobs:
    """The jobs of a pipeline; not known where GitLab has no such one, as under a runner that is not GitLab's.

    Raises as the calls of `Project` do: without knowing what failed, an older decision could pass for this one.
    """
    try:
        rows = [row for kind in ("jobs", "bridges") for row in project.rows(f"pipelines/{pipeline}/{kind}")]
    except AccessError as error:
        if error.status != 404:
            raise
        return Jobs(asked=True)
    return Jobs(tuple(_jobs(rows)), asked=True, known=True)


def _jobs(rows: Iterable[Reply]) -> Iterable[Job]:
    for row in rows:
        if row.get("allow_failure") and row.get("status") in FAILED:
            continue
        yield Job(
            name=str(row.get("name")),
            stage=str(row.get("stage")),
            status=str(row.get("status")),
            place=str(row.get("web_url") or ""),
            id=int(row.get("id") or 0),
        )
