"""Where a site comes from: project, commit, branch and pipeline, as the job knows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from wattline.gitlab.site import html
from wattline.settings import Settings


@dataclass(frozen=True)
class Origin:
    """What a job says of itself; empty where it does not say it."""

    project: str = ""
    address: str = ""
    commit: str = ""
    branch: str = ""
    pipeline: str = ""
    pipeline_address: str = ""

    @classmethod
    def of_job(cls, known: Settings) -> "Origin":
        return cls(
            project=known.ci_project_path or "",
            address=(known.ci_project_url or "").rstrip("/"),
            commit=known.ci_commit_sha or "",
            branch=known.ci_commit_tag or known.ci_commit_ref_name or "",
            pipeline=known.ci_pipeline_id or "",
            pipeline_address=known.ci_pipeline_url or "",
        )

    def items(self) -> Iterator[str]:
        """What is known, as HTML."""
        if self.commit:
            address = f"{self.address}/-/commit/{quote(self.commit)}" if self.address else ""
            yield f"commit {_linked(address, self.commit[:12])}"
        if self.branch:
            address = f"{self.address}/-/tree/{quote(self.branch)}" if self.address else ""
            yield f"ref {_linked(address, self.branch)}"
        if self.pipeline:
            yield f"pipeline {_linked(self.pipeline_address, self.pipeline)}"


def _linked(address: str, words: str) -> str:
    return html.link(address, words) if address else html.text(words).html
