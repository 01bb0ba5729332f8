"""A server of the site that is asked for a reading: verified, bounded, and credentials go only there."""

import time
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wattline.energy.meters.meter import MeterError
from wattline.errors import InputError
from wattline.trust import LOOPBACK, Credentials, basic, bearer, checked, trusted

if TYPE_CHECKING:
    import httpx

AUTHORITY = "WATTLINE_ENERGY_CA_FILE"
TIMEOUT_SECONDS = 10.0
"""For an answer as a whole, besides the same time without a byte."""
LARGEST_ANSWER = 4 * 2**20
MOST_REDIRECTS = 3


class Remote:
    """A server that answers GET requests with JSON.

    url: its address
    field: of params.yaml, for errors
    authority: file of certificates that vouch for the server, besides those of the system

    Raises MeterError for an address that is none or would show credentials, and for an authority that is none.
    """

    def __init__(self, url: str, *, field: str, credentials: Credentials, authority: Path | None = None) -> None:
        import httpx

        try:
            self.place = checked(url, field, secret=credentials.given)
            sent, verify = bearer(credentials), trusted(authority, AUTHORITY)
        except InputError as error:
            raise MeterError(str(error)) from None
        self._field = field
        self._variables = credentials.variables
        self._client = httpx.Client(
            auth=basic(credentials),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **sent},
            timeout=TIMEOUT_SECONDS,
            verify=verify,
            follow_redirects=False,
            # A proxy would be told in the open what is meant for this machine alone.
            trust_env=urlsplit(self.place).hostname not in LOOPBACK,
            # Controllers allow few connections, and nobody tells a meter when it is not needed any more.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str, **query: str) -> tuple[int, Any]:
        """Status and JSON of an answer, numbers with a point as Decimal; the JSON of an error is None.

        Raises MeterError when there is no answer, or none that can be read, or when credentials are not accepted.
        """
        import httpx

        try:
            answer, body = self._asked(f"{self.place}{path}", query)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise MeterError(f"{self.place} does not answer: {_reason(error)}{self._hint(error)}") from None
        if answer.status_code in (401, 403):
            raise MeterError(
                f"{self.place} refuses us with HTTP {answer.status_code}; correct {self._variables}, "
                "or let that account read power"
            )
        if answer.status_code >= 300:
            return answer.status_code, _json(body)
        content = _json(body)
        if content is None:
            raise MeterError(f"{self.place}{path} answers with something that is not JSON; check {self._field}")
        return answer.status_code, content

    def _asked(self, url: str, query: dict[str, str]) -> "tuple[httpx.Response, bytes]":
        """The answer, also where the server sends us elsewhere on itself. Nobody else is told who we are."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        request = self._client.build_request("GET", url, params=query)
        for _ in range(MOST_REDIRECTS):
            answer = self._client.send(request, stream=True)
            try:
                body = _body(answer, deadline, self.place)
            finally:
                answer.close()
            following = answer.next_request
            if following is None:
                return answer, body
            if _origin(str(following.url)) != _origin(self.place):
                raise MeterError(
                    f"{self.place} sends us to {_origin(str(following.url))}, which is not followed, as credentials "
                    f"are not meant for it; if that is the right place, put it into {self._field}"
                )
            request = following
        raise MeterError(f"{self.place} redirects more than {MOST_REDIRECTS} times; check {self._field}")

    def _hint(self, error: Exception) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"; {AUTHORITY} names who vouches for it"
        return f"; check {self._field}"


def _body(answer: "httpx.Response", deadline: float, place: str) -> bytes:
    found = bytearray()
    for chunk in answer.iter_bytes():
        found += chunk
        if len(found) > LARGEST_ANSWER:
            raise MeterError(f"{place} answers with more than {LARGEST_ANSWER} bytes; that is no reading of power")
        if time.monotonic() > deadline:
            raise MeterError(f"{place} did not finish its answer within {TIMEOUT_SECONDS:g} s; ask its administrator")
    return bytes(found)


def _json(body: bytes) -> Any:
    try:
        return loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):  # a JSONDecodeError is a ValueError, too
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())
