"""Who asks: tokens with the roles and scopes that GitLab knows."""

from collections.abc import Mapping
from dataclasses import dataclass

API, READER, GUEST, JOB = "glpat-of-a-developer", "glpat-that-reads", "glpat-of-a-guest", "job-token"
REPORTER, MAINTAINER, TRIGGER = "glpat-of-a-reporter", "glpat-of-a-maintainer", "glptt-trigger"
NO_ONE, GUEST_ROLE, REPORTER_ROLE, DEVELOPER_ROLE, MAINTAINER_ROLE = 0, 10, 20, 30, 40
ROLES = {"guest": 10, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50, "no_one_allowed": 99}


@dataclass
class Token:
    """A token of a user; that of a job has no scopes, for it is let in nowhere but on the routes that say so."""

    user: int
    name: str
    role: int
    scopes: tuple[str, ...] = ("api",)
    expires_at: str | None = "2099-01-01"
    active: bool = True
    job: bool = False


def known() -> dict[str, Token]:
    """The tokens of a fresh GitLab. The project access tokens belong to bots, a bot each."""
    return {
        API: Token(101, "wattline", DEVELOPER_ROLE),
        READER: Token(102, "reader", DEVELOPER_ROLE, scopes=("read_api",)),
        REPORTER: Token(103, "reporter", REPORTER_ROLE),
        GUEST: Token(104, "guest", GUEST_ROLE),
        MAINTAINER: Token(105, "maintainer", MAINTAINER_ROLE),
        JOB: Token(1, "ada", DEVELOPER_ROLE, scopes=(), job=True),
    }


def given(headers: Mapping[str, str]) -> str:
    """The token of a request, in whichever of GitLab's three headers it comes."""
    return (
        headers.get("PRIVATE-TOKEN")
        or headers.get("JOB-TOKEN")
        or headers.get("Authorization", "").removeprefix("Bearer ")
    )
