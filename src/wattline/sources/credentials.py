"""Who we are to a server over HTTP, and whom we trust."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from wattline.errors import InputError
from wattline.trust import LOOPBACK, trusted

AUTHORITY = "WATTLINE_SOURCES_CA_FILE"


class Credentials(NamedTuple):
    """Who we are.

    variables: names of the environment variables that say so, for errors
    user, password: for HTTP's basic authentication; or
    token: sent as a bearer
    """

    variables: str
    user: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None

    @property
    def given(self) -> bool:
        return bool(self.user or self.password or self.token)


def basic(credentials: Credentials) -> httpx.BasicAuth | None:
    """What httpx takes for `auth`."""
    if not credentials.user:
        return None
    return httpx.BasicAuth(credentials.user, credentials.password.get_secret_value() if credentials.password else "")


def bearer(credentials: Credentials) -> Mapping[str, str]:
    """The header with the token, where there is one. Raises InputError for a token that no header can hold."""
    if credentials.token is None:
        return {}
    text = credentials.token.get_secret_value().strip()
    if not text or not all("!" <= character <= "~" for character in text):
        raise InputError(f"the token in {credentials.variables} holds a character that no token has; set it anew")
    return {"Authorization": f"Bearer {text}"}


def checked(url: str, field: str, *, secret: bool) -> str:
    """The address without a slash at its end. Raises InputError for one that is none, or would show a secret."""
    example = "e.g. https://monitoring.example.org"
    try:
        parts = urlsplit(url)
        named, _ = parts.username or parts.password, parts.port
    except ValueError:
        raise InputError(f"{field} is no address; correct it, {example}") from None
    if named or "@" in url or parts.query or parts.fragment:
        raise InputError(f"{field} holds more than a place; credentials come from the environment, take them out")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise InputError(f"{field} is {url!r}, which is no address; correct it, {example}")
    if secret and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputError(
            f"{field} is {url!r}, where credentials would be sent in the open; use https, or set "
            "`password_in_the_open` where the network between is yours"
        )
    return url.rstrip("/")


def trust(authority: Path | None) -> ssl.SSLContext | bool:
    """What httpx takes for `verify`. Raises InputError for a file without certificates."""
    try:
        return trusted(authority)
    except OSError:  # an ssl.SSLError is one, too
        raise InputError(f"{authority} holds no certificates; correct {AUTHORITY}") from None
