"""One bounded question to a server over HTTP: what it said, or in one word why it said nothing."""

import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from wattline.errors import InputError
from wattline.trust import LOOPBACK, trusted

if TYPE_CHECKING:
    import httpx

SECONDS = 5.0
"""To connect, and without a byte from the other side; twice as long for the whole answer."""
LARGEST = 4 * 2**20
"""Bytes of an answer that are looked at."""

Trouble = Literal["", "address", "authority", "name", "refused", "silent", "tls", "certificate", "broken"]
TELLS: Mapping[Trouble, str] = {
    "": "answers",
    "address": "is no address of a server",
    "authority": "cannot be asked, since the file with its certificates holds none",
    "name": "has a name that cannot be resolved from here",
    "refused": "refuses the connection: nothing listens there",
    "silent": "does not answer in time",
    "tls": "does not speak TLS there, or another kind of it",
    "certificate": "shows a certificate that nobody here vouches for",
    "broken": "breaks the connection",
}
"""What a word means, after the name of the server."""


@dataclass(frozen=True)
class Answer:
    """What a server said.

    status: of HTTP; 0 where there was no answer
    body: its JSON, or else its text
    headers: with lower-case names
    trouble: why there was no answer
    """

    status: int = 0
    body: Any = None
    headers: Mapping[str, str] | None = None
    trouble: Trouble = ""

    @property
    def done(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300

    def get(self, key: str) -> Any:
        """A member of the body; None where it is no object or has no such member."""
        return self.body.get(key) if isinstance(self.body, dict) else None


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    user: tuple[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    content: Mapping[str, Any] | None = None,
    authority: Path | None = None,
    seconds: float = SECONDS,
) -> Answer:
    """Ask once, follow nowhere, raise nothing.

    user: name and password
    content: sent as JSON
    authority: a PEM file with certificates to trust besides those of the system
    """
    import httpx

    try:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            return Answer(trouble="address")
        context = trusted(authority, "what names it")
    except ValueError:
        return Answer(trouble="address")
    except InputError:
        return Answer(trouble="authority")
    sent = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        with (
            httpx.Client(timeout=seconds, verify=context) as client,
            client.stream(method, url, headers=sent, auth=user, params=query, json=content) as reply,
        ):
            return _answer(reply, until=time.monotonic() + 2 * seconds)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        return Answer(trouble="address")
    except httpx.HTTPError as error:
        return Answer(trouble=reason(error))


def shown(url: str) -> str:
    """An address as it may be printed: without user, password, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "what is set there"
    except ValueError:
        return "what is set there"


def is_safe(url: str) -> bool:
    """Whether a secret may be sent there: over TLS, or without leaving this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        return False


def reason(error: Exception) -> Trouble:
    """The word for what went wrong on the way, in whatever it was wrapped."""
    import httpx

    chain: list[BaseException] = [error]
    while (following := chain[-1].__cause__ or chain[-1].__context__) is not None and following not in chain:
        chain.append(following)
    text = " ".join(str(one) for one in chain)
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in chain) or "CERTIFICATE_VERIFY_FAILED" in text:
        return "certificate"
    if any(isinstance(one, socket.gaierror) for one in chain) or "name resolution" in text:
        return "name"
    if any(isinstance(one, httpx.TimeoutException | TimeoutError) for one in chain):
        return "silent"
    if any(isinstance(one, ssl.SSLError) for one in chain) or "[SSL" in text:
        return "tls"
    if any(isinstance(one, ConnectionRefusedError) for one in chain) or "refused" in text:
        return "refused"
    return "broken"


def _answer(reply: "httpx.Response", *, until: float) -> Answer:
    content = b""
    for part in reply.iter_bytes():
        content += part
        if time.monotonic() > until:
            return Answer(trouble="silent")
        if len(content) > LARGEST:
            break
    headers = {name.lower(): value for name, value in reply.headers.items()}
    try:
        body: Any = json.loads(content)
    except ValueError:
        body = content[:10_000].decode(errors="replace")
    return Answer(reply.status_code, body, headers)
