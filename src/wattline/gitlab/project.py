"""One project of a GitLab, spoken to over HTTPS: bounded in time, tried again, and its token is in no message."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from wattline.errors import InputError, WattlineError
from wattline.gitlab import answers
from wattline.gitlab.answers import Reply, TransientError
from wattline.settings import Settings
from wattline.trust import LOOPBACK, printable, trusted

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5
BACKOFF_SECONDS = 1.0
"""Before the second attempt; it doubles. A Retry-After takes its place, up to LONGEST_WAIT_SECONDS."""
LONGEST_WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 60.0
"""Without a byte from the other side."""
PAGE = 100
"""Rows of one page; GitLab gives no more."""

Result = TypeVar("Result")


class Project:
    """A project in GitLab's API. Use it in a `with` block; every call may raise what `answers.check` does.

    place: its address
    """

    def __init__(
        self, address: str, token: SecretStr, *, authority: Path | None = None, header: str = "Authorization"
    ) -> None:
        """Take the address `<GitLab>/api/v4/projects/<id>`.

        authority: a PEM file with certificates to trust besides those of the system
        header: that the token goes into; a job's own goes into JOB-TOKEN
        Raises InputError when the address, the token or the file cannot be used.
        """
        self.place = _checked_address(address)
        self._token = printable(token, "WATTLINE_GITLAB_TOKEN")
        self._header = {header: f"Bearer {self._token}" if header == "Authorization" else self._token}
        self._trust = trusted(authority, "CI_SERVER_TLS_CA_FILE")
        needed = answers.NEEDED if header == "Authorization" else answers.JOB_NEEDED
        self.check = partial(answers.check, place=self.place, secret=self._token, needed=needed)
        self._content = partial(answers.content, place=self.place, secret=self._token, needed=needed)

    @classmethod
    def of_job(cls, known: Settings) -> Self:
        """The project whose job this is. Raises InputError naming the variables that are not set."""
        address, token = access(known)
        return cls(address, token, authority=known.ci_server_tls_ca_file)

    @classmethod
    def with_job_token(cls, known: Settings) -> Self:
        """The same with the job's own token, which ends with the job and may publish packages and releases.

        Raises InputError naming the variables that are not set.
        """
        values = {
            "CI_API_V4_URL": known.ci_api_v4_url,
            "CI_PROJECT_ID": known.ci_project_id,
            "CI_JOB_TOKEN": known.ci_job_token,
        }
        address, token = known.gitlab_address, known.ci_job_token
        if address is None or token is None:
            absent = ", ".join(name for name, value in values.items() if not value)
            raise InputError(f"{absent} not set, so there is no way to GitLab; run this in a job of GitLab's")
        return cls(address, token, authority=known.ci_server_tls_ca_file, header="JOB-TOKEN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in ("client", "elsewhere"):
            client = self.__dict__.pop(name, None)
            if client is not None:
                client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What the project answers to `path`, as JSON. Raises AccessError of status 404 where it is not there."""
        return self.repeated(lambda: self._content(self.client.get(self._url(path), params=query)))

    def rows(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """All rows of a list, page by page. A caller that found what it looked for asks for no further page."""
        page = 1
        while True:
            asked = {**(query or {}), "per_page": str(PAGE), "page": str(page)}
            found = self.get(path, asked)
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def send(
        self, method: str, path: str, body: Mapping[str, Any], *, done: Callable[[], bool] | None = None
    ) -> Any | None:
        """Change something; what GitLab answers, None where it was `done`.

        done: asked before another attempt, since a call without an answer may have had its effect
        """
        return self.repeated(lambda: self._content(self.client.request(method, self._url(path), json=body)), done=done)

    def delete(self, path: str) -> None:
        """Take something away. Raises AccessError of status 404 where it is not there."""
        self.repeated(lambda: self.check(self.client.delete(self._url(path))))

    def user(self) -> Reply:
        """Whom the token belongs to; a project access token has a bot of its own."""
        root = self.place.rpartition("/projects/")[0]
        found: Reply = self.repeated(lambda: self._content(self.client.get(f"{root}/user"))) or {}
        return found

    def upload(self, name: str, content: bytes, *, kind: str) -> str:
        """Keep a file in the project itself; the Markdown that shows it in a note of the project.

        kind: its media type
        """
        answer = self.repeated(
            lambda: self._content(self.client.post(self._url("uploads"), files={"file": (name, content, kind)}))
        )
        return str((answer or {})["markdown"])

    @cached_property
    def client(self) -> "httpx.Client":
        """The connection, which every request to the project goes through."""
        import httpx

        headers = {**self._header, "Accept-Encoding": "identity"}
        return httpx.Client(timeout=TIMEOUT_SECONDS, verify=self._trust, headers=headers)

    @cached_property
    def elsewhere(self) -> "httpx.Client":
        """A connection without the token: for object storage, to which GitLab sends who asks for a file."""
        import httpx

        return httpx.Client(timeout=TIMEOUT_SECONDS, verify=self._trust, headers={"Accept-Encoding": "identity"})

    def repeated(self, once: Callable[[], Result], *, done: Callable[[], bool] | None = None) -> Result | None:
        """What `once` gives, tried again while GitLab is not in a state to answer; None where it was `done` before."""
        import httpx

        failure, wait = "", 0.0
        for attempt in range(ATTEMPTS):
            time.sleep(min(wait, LONGEST_WAIT_SECONDS))
            if attempt and done is not None and done():
                return None
            wait = BACKOFF_SECONDS * 2**attempt
            try:
                return once()
            except TransientError as error:
                failure = str(error)
                wait = wait if error.wait_seconds is None else error.wait_seconds
            except httpx.HTTPError as error:
                failure = answers.cleaned(str(error) or type(error).__name__, self._token)
                if "CERTIFICATE_VERIFY_FAILED" in failure:
                    break
        raise WattlineError(
            f"{self.place} did not do its work: {failure}; try again later, what is there already stays"
            + (" (CI_SERVER_TLS_CA_FILE names who vouches for it)" if "CERTIFICATE" in failure else "")
        ) from None

    def _url(self, path: str) -> str:
        return f"{self.place}/{path}".rstrip("/")


def access(known: Settings) -> tuple[str, SecretStr]:
    """Address and token of the job's project. Raises InputError naming the variables that are not set."""
    values = {
        "CI_API_V4_URL": known.ci_api_v4_url,
        "CI_PROJECT_ID": known.ci_project_id,
        "WATTLINE_GITLAB_TOKEN": known.gitlab_token,
    }
    absent = [name for name, value in values.items() if not value]
    if known.gitlab_address is None or known.gitlab_token is None:
        verb = "is" if len(absent) == 1 else "are"
        raise InputError(
            f"{', '.join(absent)} {verb} not set, so there is no way to GitLab; the token is one of Settings > Access "
            "tokens, of scope `api` and role Developer, set under Settings > CI/CD > Variables; see docs/gitlab.md"
        )
    return known.gitlab_address, known.gitlab_token


def _checked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        secret, host = parts.username or parts.password, parts.hostname
    except ValueError:
        raise InputError("the address of GitLab cannot be read; correct CI_API_V4_URL") from None
    if secret or parts.query or parts.fragment:
        raise InputError(f"the address of GitLab at {host} holds more than a place; take it out of CI_API_V4_URL")
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK)):
        raise InputError(f"'{parts.scheme}://{host}' is no HTTPS address, it would show a token; correct CI_API_V4_URL")
    return address.rstrip("/")
