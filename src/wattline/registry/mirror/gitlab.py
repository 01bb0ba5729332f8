"""One project of a GitLab, spoken to over HTTPS: bounded in time, tried again, and its token is in no message."""

import hashlib
import re
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from wattline.errors import InputError, WattlineError
from wattline.registry.mirror import answers
from wattline.registry.mirror.answers import RefusedError, Reply, TransientError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5
BACKOFF_SECONDS = 1.0
"""Before the second attempt; it doubles. A Retry-After takes its place, up to LONGEST_WAIT_SECONDS."""
LONGEST_WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 60.0
"""Without a byte from the other side."""
MOUNT = "ml/mlflow/api/2.0/mlflow"
ARTIFACTS = "ml/mlflow/api/2.0/mlflow-artifacts/artifacts"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Result = TypeVar("Result")


class GitLab:
    """A project in GitLab's API. Use it in a `with` block; every call may raise what `answers.check` does.

    place: its address
    """

    def __init__(self, address: str, token: SecretStr, *, authority: Path | None = None) -> None:
        """Take the address `<GitLab>/api/v4/projects/<id>`.

        authority: a PEM file with certificates to trust besides those of the system
        Raises InputError when the address, the token or the file cannot be used.
        """
        self.place = _checked_address(address)
        self._token = _checked_token(token)
        self._trust = _trust(authority)
        self._check = partial(answers.check, place=self.place, secret=self._token)
        self._content = partial(answers.content, place=self.place, secret=self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def get(self, path: str, query: Mapping[str, str]) -> Reply | None:
        """What GitLab's MLflow endpoint answers to `path`; None when it says that there is no such thing."""
        return self._get(f"{MOUNT}/{path}", query)

    def send(self, method: str, path: str, body: Mapping[str, Any], *, done: Callable[[], bool] | None = None) -> None:
        """Change something through GitLab's MLflow endpoint.

        done: asked before another attempt, since a call without an answer may have had its effect
        """
        url = f"{self.place}/{MOUNT}/{path}"
        self._repeated(lambda: self._content(self._client.request(method, url, json=body)), done=done)

    def files(self, version: str) -> list[str]:
        """Paths of the files of a version, as often as they are there. `version` is GitLab's own number of it."""
        found = self._get(ARTIFACTS, {"path": version}) or {}
        # GitLab keeps the path of a file below a folder as one escaped name.
        return [re.sub("%2[Ff]", "/", str(one["path"])) for one in found.get("files", [])]

    def upload(self, version: str, name: str, opened: Callable[[], BinaryIO]) -> None:
        """Put a file into the package of a version, once: GitLab would keep two of a name."""

        def once() -> None:
            with opened() as stream:
                self._check(self._client.put(self._file(version, name), content=stream))

        self._repeated(once, done=lambda: name in self.files(version))

    def digest(self, version: str, name: str) -> str:
        """SHA-256 of a file as GitLab gives it back."""

        def once() -> str:
            # GitLab may hand out a file through its object storage; httpx takes no token to another origin.
            with self._client.stream("GET", self._file(version, name), follow_redirects=True) as answer:
                if answer.status_code >= 300:
                    answer.read()
                self._check(answer)
                found = hashlib.sha256()
                for chunk in answer.iter_bytes():
                    found.update(chunk)
                return found.hexdigest()

        return str(self._repeated(once))

    def _file(self, version: str, name: str) -> str:
        return f"{self.place}/packages/ml_models/{quote(version)}/files/{quote(name)}"

    def _get(self, path: str, query: Mapping[str, str]) -> Reply | None:
        try:
            return self._repeated(lambda: self._content(self._client.get(f"{self.place}/{path}", params=query)))
        except RefusedError as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        headers = {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "identity"}
        return httpx.Client(timeout=TIMEOUT_SECONDS, verify=self._trust, headers=headers)

    def _repeated(self, once: Callable[[], Result], *, done: Callable[[], bool] | None = None) -> Result | None:
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
            f"{self.place} did not do its work: {failure}; push again later, what is there already stays"
            + (" (CI_SERVER_TLS_CA_FILE names who vouches for it)" if "CERTIFICATE" in failure else "")
        ) from None


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


def _checked_token(token: SecretStr) -> str:
    """The token, which goes into a header. Its text is in no message."""
    text = token.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", text):
        raise InputError("WATTLINE_GITLAB_TOKEN is empty or holds a character that no token has; set it anew")
    return text


def _trust(authority: Path | None) -> ssl.SSLContext | bool:
    """What vouches for GitLab: the certificates that httpx finds (SSL_CERT_FILE among them), and `authority`."""
    if authority is None:
        return True
    import httpx

    context = httpx.create_ssl_context()
    try:
        context.load_verify_locations(cafile=authority)
    except OSError:  # an ssl.SSLError is one, too
        raise InputError(f"{authority} holds no certificates; correct CI_SERVER_TLS_CA_FILE") from None
    return context
