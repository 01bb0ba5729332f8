"""Who vouches for a server, and from where on a secret is in the open."""

import ssl
from pathlib import Path

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts to which a secret may go without TLS: it does not leave this machine."""


def trusted(authority: Path | None) -> ssl.SSLContext | bool:
    """What httpx takes for `verify`: the certificates that it finds (SSL_CERT_FILE among them), and `authority`.

    authority: a PEM file. Raises OSError where it holds no certificates
    """
    if authority is None:
        return True
    import httpx

    context = httpx.create_ssl_context()
    context.load_verify_locations(cafile=authority)
    return context
