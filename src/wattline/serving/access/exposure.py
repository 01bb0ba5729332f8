"""Whether the server may listen where it is told to: not to everyone while it trusts everyone."""

import ipaddress
import socket

from wattline.errors import InputError
from wattline.params.serving import AuthParams


def check_exposure(params: AuthParams, host: str) -> str:
    """What to warn of before listening on `host`; empty when there is nothing.

    Raises InputError when anyone may do anything (mode none) and others than this machine could reach it.
    """
    loopback = is_loopback(host)
    if params.mode == "none" and not loopback:
        raise InputError(
            f"serving.host is {host!r}, which others can reach, but serving.auth.mode is none; "
            "set it to keys or jwt, or listen on 127.0.0.1"
        )
    if params.mode == "none":
        return "serving.auth.mode is none: everyone on this machine may do everything"
    if not loopback:
        return f"serving.host is {host!r}: keys and tokens travel in clear text unless a TLS proxy stands in front"
    return ""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is nothing but this machine itself. Raises InputError for no known name."""
    if not host:
        return False  # every address of this machine
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise InputError(f"host {host!r} cannot be resolved: {error}; choose an address of this machine") from None
    addresses = [ipaddress.ip_address(str(one[4][0])) for one in found]
    return all((getattr(one, "ipv4_mapped", None) or one).is_loopback for one in addresses)
