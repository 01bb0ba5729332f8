"""paho's client with our credentials and those who vouch for the broker."""

import secrets
import ssl

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from wattline.errors import InputError
from wattline.settings import Settings
from wattline.sources.mqtt.address import CREDENTIALS, Address
from wattline.trust import LOOPBACK

INFLIGHT = 1000
"""Messages that are sent before the first of them is acknowledged."""
LONGEST_WAIT_SECONDS = 5
"""Between two attempts to reach the broker."""


def made(place: Address, settings: Settings) -> paho.Client:
    """A client that is not connected yet.

    Raises InputError for credentials that would be shown in the open, and for certificates that cannot be read.
    """
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=f"wattline-{secrets.token_hex(8)}", protocol=paho.MQTTv5
    )
    client.reconnect_delay_set(1, LONGEST_WAIT_SECONDS)
    client.max_inflight_messages_set(INFLIGHT)
    user, password = credentials(place, settings)
    if user:
        client.username_pw_set(user, password)
    if place.tls:
        client.tls_set_context(context(settings))
    return client


def credentials(place: Address, settings: Settings) -> tuple[str, str | None]:
    """User and password, "" and None where there are none.

    Raises InputError for a password without a user, and where it would be shown in the open.
    """
    if settings.mqtt_password is not None and not settings.mqtt_user:
        raise InputError("WATTLINE_MQTT_PASSWORD is set without WATTLINE_MQTT_USER; set both or none")
    if settings.mqtt_user and not place.tls and place.host not in LOOPBACK:
        raise InputError(
            f"{place} would be shown a password in the open; use mqtts:// or unset {CREDENTIALS} in the environment"
        )
    return settings.mqtt_user, settings.mqtt_password.get_secret_value() if settings.mqtt_password else None


def context(settings: Settings) -> ssl.SSLContext:
    """Whom to trust. Raises InputError for certificates that cannot be read."""
    found = ssl.create_default_context()
    if settings.sources_ca_file is not None:
        try:
            found.load_verify_locations(cafile=settings.sources_ca_file)
        except OSError as error:
            raise InputError(
                f"WATTLINE_SOURCES_CA_FILE is {settings.sources_ca_file}, which holds no certificates: {error}"
            ) from None
    return found
