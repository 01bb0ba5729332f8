"""What an answer of GitLab means: done, to be tried again, refused, or not for this token."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wattline.errors import InputError, WattlineError

if TYPE_CHECKING:
    import httpx

TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
NEEDED = (
    "WATTLINE_GITLAB_TOKEN must be a personal, project or group access token of scope `api` and role Developer "
    "(a CI_JOB_TOKEN is not enough)"
)

JOB_NEEDED = (
    "CI_JOB_TOKEN may publish in its own project while who started the pipeline is a Developer, and packages and "
    "releases are on and not taken from it in Settings > CI/CD > Job token permissions"
)

Reply = Mapping[str, Any]


class TransientError(Exception):
    """A call failed in a way that may pass.

    wait_seconds: what the other side asked for, where it did
    """

    def __init__(self, reason: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class RefusedError(WattlineError):
    """GitLab understood a call and said no.

    status: of the answer
    code: MLflow's word for it, such as RESOURCE_ALREADY_EXISTS; empty where there is none
    """

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class AccessError(InputError):
    """The token may not do this, or may not see that it is there.

    status: of the answer
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def check(answer: "httpx.Response", *, place: str, secret: str, needed: str = NEEDED) -> None:
    """Raise unless an answer says that the call was done; the body of one that says no must have been read.

    needed: what the token must be, in words
    Raises TransientError, RefusedError, or AccessError where the token or the address is wrong.
    """
    status = answer.status_code
    if status < 300:
        return
    if status in TRANSIENT_STATUS:
        wait = answer.headers.get("Retry-After", "")
        raise TransientError(f"status {status}", wait_seconds=float(wait) if wait.isdecimal() else None)
    parsed = _parsed(answer)
    said = parsed if isinstance(parsed, dict) else {}
    code = str(said.get("error_code", ""))
    reason = cleaned(str(said.get("message") or said.get("error_description") or said.get("error") or code), secret)
    if status == 401:
        raise AccessError(f"{place} did not accept the token (401 {reason}); {needed}", status=status)
    if status == 403:
        raise AccessError(f"{place} forbids this to the token (403 {reason}); {needed}", status=status)
    if status == 404 and not code:
        raise AccessError(
            f"{place} is not there, has no such thing, or the token may not see it (404 {reason}); "
            f"check CI_API_V4_URL and CI_PROJECT_ID; {needed}",
            status=status,
        )
    raise RefusedError(
        f"{place} answered {status} {reason}; correct what it names, or CI_API_V4_URL", status=status, code=code
    )


def content(answer: "httpx.Response", *, place: str, secret: str, needed: str = NEEDED) -> Any:
    """The object or list in an answer. Raises as `check` does, and WattlineError where there is none."""
    check(answer, place=place, secret=secret, needed=needed)
    said = _parsed(answer)
    if said is None:
        raise WattlineError(f"{place} answered with something that is not GitLab's; check CI_API_V4_URL")
    return said


def cleaned(text: str, secret: str) -> str:
    """The first line of `text`, not too long, without `secret`."""
    return text.replace(secret, "...").split("\n", maxsplit=1)[0][:200]


def _parsed(answer: "httpx.Response") -> Reply | list[Any] | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None
