"""Where an MQTT broker is."""

from typing import NamedTuple
from urllib.parse import urlsplit

from wattline.errors import InputError

PORTS = {"mqtt": 1883, "mqtts": 8883}
CREDENTIALS = "WATTLINE_MQTT_USER and WATTLINE_MQTT_PASSWORD"


class Address(NamedTuple):
    """Where a broker is."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parsed(text: str) -> Address:
    """Read `mqtt://host:1883` or `mqtts://host:8883`. Raises InputError, without what may be a password."""
    example = f"write mqtt://HOST:1883, or mqtts://HOST:8883 with TLS, and give who we are in {CREDENTIALS}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InputError(f"the broker's address cannot be read; {example}") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(f"the broker's address holds credentials; {example}")
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"{text!r} is no broker's address; {example}")
    return Address(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "mqtts")
