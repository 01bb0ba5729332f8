"""What GitLab sets for each kind of pipeline, and what a project's settings add to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PROJECT, FORK = ("42", "energy/models"), ("43", "somebody/models")
"""Id and path: of the project, as the stand-in of GitLab knows it, and of somebody's fork."""
DEFAULT_BRANCH = "main"


@dataclass(frozen=True)
class Event:
    """What started a pipeline.

    ref: branch or tag that is checked out
    source: CI_PIPELINE_SOURCE, which a child pipeline sees otherwise
    variables: what GitLab sets besides
    trusted: whether the project's variables are given to it; a merge request from a fork runs in the fork
    protected: whether protected variables are given to it, too
    """

    ref: str
    source: str
    variables: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = True
    protected: bool = False

    @property
    def predefined(self) -> dict[str, str]:
        """Variables under GitLab's names."""
        by_branch = "CI_MERGE_REQUEST_IID" not in self.variables and "CI_COMMIT_TAG" not in self.variables
        return {
            "CI_COMMIT_REF_NAME": self.ref,
            "CI_COMMIT_BRANCH": self.ref if by_branch else "",
            "CI_COMMIT_REF_PROTECTED": str(self.protected).lower(),
            "CI_DEFAULT_BRANCH": DEFAULT_BRANCH,
            **self.variables,
        }


def merge_request(source: str, *, iid: int, fork: bool = False, variables: Mapping[str, str] | None = None) -> Event:
    """A merge request into the default branch, from this project or from a fork of it."""
    return Event(
        source,
        "merge_request_event",
        {
            "CI_MERGE_REQUEST_ID": str(1000 + iid),
            "CI_MERGE_REQUEST_IID": str(iid),
            "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
            "CI_MERGE_REQUEST_PROJECT_ID": PROJECT[0],
            "CI_MERGE_REQUEST_PROJECT_PATH": PROJECT[1],
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": (FORK if fork else PROJECT)[0],
            "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": (FORK if fork else PROJECT)[1],
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": source,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": DEFAULT_BRANCH,
            **(variables or {}),
        },
        trusted=not fork,
    )


def branch(name: str = DEFAULT_BRANCH, *, source: str = "push", variables: Mapping[str, str] | None = None) -> Event:
    """A push to a branch, or what somebody started on it: `web`, `schedule`, `api`. The default one is protected."""
    return Event(name, source, dict(variables or {}), protected=name == DEFAULT_BRANCH)


def schedule(kind: str) -> Event:
    """A schedule on the default branch."""
    return branch(source="schedule", variables={"WATTLINE_SCHEDULE": kind})
