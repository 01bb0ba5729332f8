"""Whether MLflow's server is there, and whether it knows us."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from wattline.gitlab.asking import Answer, ask
from wattline.settings import Settings


def questions(known: Settings) -> Mapping[str, Callable[[], Answer]]:
    """Two, where the store is a server: one that needs no name and one that does."""
    uri = known.tracking_uri
    if not uri.startswith(("http://", "https://")):
        return {}
    address, user = _split(uri)
    headers, login = _credentials(known, user)
    search = f"{address}/api/2.0/mlflow/experiments/search"
    return {
        "health": lambda: ask(f"{address}/health", authority=authority(known)),
        "tracking": lambda: ask(
            search, headers=headers, user=login, query={"max_results": "1"}, authority=authority(known)
        ),
    }


def authority(known: Settings) -> Path | None:
    """The certificates that MLflow's own client would trust."""
    return known.mlflow_ca_file or known.requests_ca_file or known.curl_ca_file


def _split(uri: str) -> tuple[str, tuple[str, str] | None]:
    """Address without name and password, and those."""
    try:
        parts = urlsplit(uri)
        user = (parts.username, parts.password or "") if parts.username else None
    except ValueError:
        return uri, None
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return bare.rstrip("/"), user


def _credentials(known: Settings, user: tuple[str, str] | None) -> tuple[dict[str, str], tuple[str, str] | None]:
    """In MLflow's order: name and password, a token, what stands in the address."""
    password = known.mlflow_tracking_password.get_secret_value()
    if known.mlflow_tracking_username and password:
        return {}, (known.mlflow_tracking_username, password)
    token = known.mlflow_tracking_token.get_secret_value()
    if token:
        return ({"Authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() else {}), None
    return {}, user
