"""A monitoring system's server that is asked over HTTP: patient, verified, and credentials go only there."""

import json
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from wattline.errors import InputError
from wattline.trust import LOOPBACK, Credentials, basic, bearer, checked, trusted

AUTHORITY = "WATTLINE_SOURCES_CA_FILE"
ATTEMPTS = 4
BACKOFF_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 256 * 2**20
"""In bytes: more than a page of a monitoring system should be, and less than the memory of a small machine."""
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


class AnswerError(InputError):
    """The server was reached and did not want to answer.

    status: of HTTP
    content: its JSON, None where it sent none
    said: its reason in one line, "" where it gave none
    """

    def __init__(self, message: str, *, status: int, content: Any = None, said: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.content = content
        self.said = said


class TooLargeError(InputError):
    """An answer is larger than what is read: ask for less at once."""


class TransientError(Exception):
    """It may go better the next time. after: seconds that the server asks us to wait."""

    def __init__(self, reason: str, *, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Remote:
    """A server that answers with JSON. Use it within `with`.

    url: its address
    field: of params.yaml that holds it, for errors
    authority: file of certificates that vouch for the server, besides those of the system
    timeout_seconds: for an answer as a whole [s]
    in_the_open: whether credentials may be sent without TLS

    Raises InputError for an address that is none or would show credentials, and for an authority that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        field: str,
        credentials: Credentials,
        authority: Path | None,
        timeout_seconds: float,
        in_the_open: bool = False,
    ) -> None:
        self.place = checked(
            url,
            field,
            secret=credentials.given and not in_the_open,
            remedy="use https, or set `password_in_the_open` where the network between is yours",
        )
        self._field = field
        self._variables = credentials.variables
        self._timeout = timeout_seconds
        self._client = httpx.Client(
            auth=basic(credentials),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", **bearer(credentials)},
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            verify=trusted(authority, AUTHORITY),
            follow_redirects=False,
            # A proxy would be told in the open what is meant for this machine alone.
            trust_env=urlsplit(self.place).hostname not in LOOPBACK,
        )

    def __enter__(self) -> "Remote":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> Any:
        """JSON of an answer. Raises what `post` does."""
        return self._patiently(self._client.build_request("GET", f"{self.place}{path}", params=query))

    def post(self, path: str, *, content: bytes) -> Any:
        """Send JSON, give the JSON of the answer.

        What may pass is tried again with growing pauses: no answer, one that is cut or no JSON, status 5xx.
        Raises InputError with what failed at last; AnswerError at once where trying again is of no use;
        TooLargeError.
        """
        headers = {"Content-Type": "application/json"}
        return self._patiently(
            self._client.build_request("POST", f"{self.place}{path}", content=content, headers=headers)
        )

    def post_form(self, path: str, **form: str) -> Any:
        """Send a form, which may be longer than an address, give the JSON of the answer. Raises what `post` does."""
        return self._patiently(self._client.build_request("POST", f"{self.place}{path}", data=form))

    def _patiently(self, request: httpx.Request) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(request)
            except TransientError as error:
                if attempt == ATTEMPTS:
                    raise InputError(
                        f"{self._told(request)} failed {ATTEMPTS} times, last: {error}; see to the server, or correct "
                        f"{self._field}"
                    ) from None
                log.warning("%s: %s; attempt %d of %d follows", self._told(request), error, attempt + 1, ATTEMPTS)
                time.sleep(min(max(BACKOFF_SECONDS * 2 ** (attempt - 1), error.after), LONGEST_WAIT_SECONDS))
        raise AssertionError

    def _once(self, request: httpx.Request) -> Any:
        deadline = time.monotonic() + self._timeout
        try:
            answer = self._client.send(request, stream=True)
            try:
                body = self._body(answer, deadline)
            finally:
                answer.close()
        except (httpx.TransportError, httpx.DecodingError) as error:
            # A body that is shorter than its Content-Length, or no gzip, is one of these, too.
            self._check_trust(error)
            raise TransientError(" ".join((str(error) or type(error).__name__).split())) from None
        content = _parsed(body)
        self._check_status(answer, content, request)
        if content is None:
            raise TransientError(f"the answer is half a JSON, or none: {body[-40:]!r} is its end")
        return content

    def _body(self, answer: httpx.Response, deadline: float) -> bytes:
        found = bytearray()
        for chunk in answer.iter_bytes():
            found += chunk
            if len(found) > LARGEST_ANSWER:
                raise TooLargeError(f"{self.place} answers with more than {LARGEST_ANSWER} bytes; ask for less at once")
            if time.monotonic() > deadline:
                raise TransientError(f"no whole answer within {self._timeout:g} s")
        return bytes(found)

    def _check_status(self, answer: httpx.Response, content: Any, request: httpx.Request) -> None:
        status, said = answer.status_code, _said(content)
        reason = f"HTTP {status} {answer.reason_phrase}".strip() + (f": {said}" if said else "")
        if status in TRANSIENT_STATUS:
            raise TransientError(reason, after=_seconds(answer.headers.get("Retry-After", "")))
        if status in (401, 403):
            raise AnswerError(
                f"{self.place} refuses us with {reason}; correct {self._variables}, or let that account read",
                status=status,
                said=said,
            )
        if 300 <= status < 400:
            raise AnswerError(
                f"{self._told(request)} sends us elsewhere with {reason}, which is not followed, as credentials are "
                f"not meant for it; put the right address into {self._field}",
                status=status,
            )
        if status >= 400:
            raise AnswerError(
                f"{self._told(request)} is refused with {reason}; correct {self._field} or what is asked for",
                status=status,
                content=content,
                said=said,
            )

    def _check_trust(self, error: Exception) -> None:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise InputError(
                f"{self.place} is not trusted: {' '.join(str(error).split())}; name the certificates that vouch for it "
                f"in {AUTHORITY}"
            ) from None

    def _told(self, request: httpx.Request) -> str:
        return f"{request.method} {self.place}{request.url.path.removeprefix(urlsplit(self.place).path)}"


def _parsed(body: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def _said(content: Any) -> str:
    """The reason in an error of KairosDB, Prometheus or Grafana, in one short line."""
    if not isinstance(content, dict):
        return ""
    reasons = content.get("errors") or content.get("error") or content.get("message") or ""
    text = "; ".join(str(reason) for reason in reasons) if isinstance(reasons, list) else str(reasons)
    return " ".join(text.split())[:300]


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() and len(text) < 6 else 0.0
