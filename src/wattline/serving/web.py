"""GET over HTTP: bounded in time and size, tried again, and without a credential in any message."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import orjson

from wattline.serving.versions.loading import LoadError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 3
BACKOFF_SECONDS = 0.5
"""Before the second attempt; it doubles."""
TIMEOUT_SECONDS = 10.0
"""Without a byte from the other side."""
ANSWER_SECONDS = 300.0
"""For one answer, however steadily it drips."""
LARGEST_JSON = 4 * 1024**2
TRANSIENT_STATUS = frozenset({408, 425, 429, *range(500, 600)})

Result = TypeVar("Result")


@dataclass(frozen=True)
class Credentials:
    """How a server that asks for it is told who we are; a token goes before a name."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


class TransientError(Exception):
    """A call failed in a way that may pass."""


def is_address(text: str) -> bool:
    """Whether `text` is an HTTP address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Web:
    """What lies below one address. It may be asked from several threads.

    place: the address without what was secret in it
    host: its host
    """

    def __init__(self, address: str, credentials: Credentials) -> None:
        """Take an HTTP address, with or without a name and a password in it."""
        self.place = re.sub(r"//[^/\s]*@", "//", address).rstrip("/")
        parts = urlsplit(address)
        self.host = parts.hostname
        inside = Credentials(unquote(parts.username or ""), unquote(parts.password or ""))
        self._credentials = credentials if credentials != Credentials() else inside

    def json(self, path: str, query: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status, below 500, and the object in an answer; an empty one where there is none.

        Raises LoadError, reason unreachable.
        """

        def once() -> tuple[int, dict[str, Any]]:
            with self._client.stream("GET", f"{self.place}/{path}", params=query) as answer:
                _check_status(answer)
                content = b"".join(_chunks(answer, limit=LARGEST_JSON, what=path))
                return answer.status_code, _parsed(content)

        return self._repeated(once)

    def download(self, path: str, target: Path, *, limit: int) -> int:
        """Write what lies at `path` to `target` where the status is 200; returns the status, below 500.

        limit: most bytes that are taken
        Raises LoadError: unreachable, or digest when it is larger.
        """

        def once() -> int:
            with self._client.stream("GET", f"{self.place}/{path}") as answer:
                _check_status(answer)
                if answer.status_code == 200:
                    with target.open("wb") as stream:
                        stream.writelines(_chunks(answer, limit=limit, what=path))
                return answer.status_code

        return self._repeated(once)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        login = self._credentials
        return httpx.Client(
            timeout=TIMEOUT_SECONDS,
            auth=(login.username, login.password) if login.username and not login.token else None,
            headers={"Accept-Encoding": "identity"}
            | ({"Authorization": f"Bearer {login.token}"} if login.token else {}),
        )

    def _repeated(self, once: Callable[[], Result]) -> Result:
        import httpx

        failure = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
            try:
                return once()
            except (TransientError, httpx.HTTPError) as error:
                failure = str(error) or type(error).__name__
        raise LoadError(
            f"{self.place} did not answer: {failure[:200]}; start it, or correct its address", reason="unreachable"
        )


def _check_status(answer: "httpx.Response") -> None:
    if answer.status_code in TRANSIENT_STATUS:
        raise TransientError(f"status {answer.status_code}")


def _chunks(answer: "httpx.Response", *, limit: int, what: str) -> Iterator[bytes]:
    size, until = 0, time.monotonic() + ANSWER_SECONDS
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise LoadError(f"{what} has more than {limit} bytes; deploy a smaller model", reason="digest")
        if time.monotonic() > until:
            raise TransientError(f"{what} took longer than {ANSWER_SECONDS:.0f} s")
        yield chunk


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
