"""Who we are to a server over HTTP, who vouches for it, and from where on a secret is in the open."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from wattline.errors import InputError
from wattline.settings import Settings

if TYPE_CHECKING:
    import httpx

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts to which a secret may go without TLS: it does not leave this machine."""


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


def of_prometheus(settings: Settings) -> Credentials:
    """Who we are to Prometheus. Raises InputError for two kinds of credentials."""
    if settings.prometheus_token and settings.prometheus_user:
        raise InputError("WATTLINE_PROMETHEUS_TOKEN and WATTLINE_PROMETHEUS_USER are both set; unset one of them")
    return Credentials(
        "WATTLINE_PROMETHEUS_TOKEN, or WATTLINE_PROMETHEUS_USER and WATTLINE_PROMETHEUS_PASSWORD",
        settings.prometheus_user,
        settings.prometheus_password,
        settings.prometheus_token,
    )


def basic(credentials: Credentials) -> "httpx.BasicAuth | None":
    """What httpx takes for `auth`."""
    import httpx

    if not credentials.user:
        return None
    return httpx.BasicAuth(credentials.user, credentials.password.get_secret_value() if credentials.password else "")


def bearer(credentials: Credentials) -> Mapping[str, str]:
    """The header with the token, where there is one. Raises InputError as `printable` does."""
    if credentials.token is None:
        return {}
    return {"Authorization": f"Bearer {printable(credentials.token, credentials.variables)}"}


def printable(token: SecretStr, variable: str) -> str:
    """The text of a token that goes into a header. Raises InputError, without the text, where no header can hold it."""
    text = token.get_secret_value().strip()
    if not text or not all("!" <= character <= "~" for character in text):
        raise InputError(f"the token in {variable} is empty or holds a character that no token has; set it anew")
    return text


def checked(url: str, field: str, *, secret: bool, remedy: str = "use https") -> str:
    """The address without a slash at its end. Raises InputError for one that is none, or would show a secret.

    field: of params.yaml that holds it, for errors
    secret: whether credentials are sent there
    remedy: what to do where they would go in the open
    """
    example = "correct it, e.g. https://monitoring.example.org"
    try:
        parts = urlsplit(url)
        named, _ = parts.username or parts.password, parts.port
    except ValueError:
        raise InputError(f"{field} is no address; {example}") from None
    if named or "@" in url or parts.query or parts.fragment:
        raise InputError(f"{field} holds more than a place; credentials come from the environment, take them out")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise InputError(f"{field} is {url!r}, which is no address; {example}")
    if secret and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputError(f"{field} is {url!r}, where credentials would be sent in the open; {remedy}")
    return url.rstrip("/")


def trusted(authority: Path | None, variable: str) -> ssl.SSLContext | bool:
    """What httpx takes for `verify`: the certificates that it finds (SSL_CERT_FILE among them), and `authority`.

    authority: a PEM file
    variable: of the environment that names it, for errors

    Raises InputError where it holds no certificates.
    """
    if authority is None:
        return True
    import httpx

    context = httpx.create_ssl_context()
    try:
        context.load_verify_locations(cafile=authority)
    except OSError:  # an ssl.SSLError is one, too
        raise InputError(f"{authority} holds no certificates; correct {variable}") from None
    return context
