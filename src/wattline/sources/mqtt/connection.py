"""A connection to an MQTT broker: verified, bounded in time, and renewed when it breaks."""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from wattline.errors import InputError
from wattline.settings import Settings
from wattline.sources.mqtt import client
from wattline.sources.mqtt.address import CREDENTIALS, Address

KEEPALIVE_SECONDS = 30
"""At most: a broker that is silent for longer is gone. It bounds the handshake of TLS, too."""
SESSION_SECONDS = 300
"""For so long the broker keeps what was sent with QoS 1 for a client that is away."""
WRONG_CREDENTIALS = ("Bad user name or password", "Not authorized", "Banned")

Receive = Callable[[str, bytes, bool], None]
"""Takes topic, payload, and whether the broker had kept the message from before."""

log = logging.getLogger(__name__)


class Connection:
    """A broker that answers. It is used within `connected`."""

    def __init__(self, place: Address, settings: Settings, *, patience_seconds: float) -> None:
        self.place = place
        self.breaks = 0
        self._patience = patience_seconds
        self._answered = threading.Event()
        self._refusal: str | None = None
        self._filters: tuple[str, ...] = ()
        self._client = client.made(place, settings)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._sent: set[int] = set()
        self._codes: dict[int, ReasonCode] = {}
        self._acknowledged = threading.Condition()

    @property
    def is_up(self) -> bool:
        return self._client.is_connected()

    def check(self) -> None:
        """Raises InputError when the broker has refused what was asked of it."""
        if self._refusal:
            raise InputError(self._refusal)

    def open(self) -> None:
        """Raises InputError when the broker does not answer within the patience, or does not want us."""
        deadline = time.monotonic() + self._patience
        self._reach(deadline)
        self._client.loop_start()
        self._answered.wait(max(0.1, deadline - time.monotonic()))
        self.check()
        if not self._answered.is_set():
            raise InputError(
                f"{self.place} was reached, but no MQTT broker answered within {self._patience:g} s; check the port, "
                "and whether it expects TLS (mqtts://)"
            )

    def close(self) -> None:
        at_once = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
        at_once.SessionExpiryInterval = 0
        self._client.disconnect(properties=at_once)
        self._client.loop_stop()

    def subscribe(self, filters: tuple[str, ...], receive: Receive) -> None:
        """Ask for all that `filters` match, now and after every reconnect. `receive` is called in another thread."""

        def on_message(_: Any, __: Any, message: paho.MQTTMessage) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:  # a broker that lets such a topic through: no reason to stop listening
                topic = ""
            receive(topic, bytes(message.payload), message.retain)

        self._client.on_message = on_message
        self._filters = filters
        self._answered.clear()
        self._subscribe()
        if not self._answered.wait(self._patience) and not self._refusal:
            raise InputError(
                f"{self.place} did not answer a subscription within {self._patience:g} s; is it overloaded?"
            )
        self.check()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send with QoS 1; `settle` waits until it has arrived."""
        # Not within the condition: paho holds a lock of its own while it tells of an acknowledgement.
        self._sent.add(self._client.publish(topic, payload, qos=1).mid)

    def settle(self) -> None:
        """Wait until the broker has acknowledged everything that was published.

        The patience begins anew with each acknowledgement. Raises InputError when it ends, or when the broker refused
        something: it is not known then which of them arrived.
        """
        with self._acknowledged:
            while left := len(self._sent - self._codes.keys()):
                if not self._acknowledged.wait(self._patience):
                    raise InputError(
                        f"{self.place} did not acknowledge {left} messages within {self._patience:g} s; send them "
                        "again: a sample that comes twice counts once"
                    )
            refused = [code for code in self._codes.values() if code.is_failure]
            self._sent.clear()
            self._codes.clear()
        if refused:
            raise InputError(
                f"{self.place} refused {len(refused)} messages ({refused[0]}); let {CREDENTIALS} name an account "
                "that may write those topics"
            )

    def _reach(self, deadline: float) -> None:
        wait = 0.25
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = SESSION_SECONDS
        while True:
            try:
                self._client.connect(
                    self.place.host,
                    self.place.port,
                    keepalive=max(5, min(KEEPALIVE_SECONDS, int(self._patience))),
                    clean_start=paho.MQTT_CLEAN_START_FIRST_ONLY,
                    properties=session,
                )
            except ssl.SSLError as error:
                raise InputError(
                    f"TLS with {self.place} failed: {error.reason or error}; name the certificates that vouch for it "
                    "in WATTLINE_SOURCES_CA_FILE"
                ) from None
            except OSError as error:
                if time.monotonic() + wait >= deadline:
                    raise InputError(
                        f"{self.place} cannot be reached: {error.strerror or error}; start the broker, or "
                        "correct its address"
                    ) from None
                time.sleep(wait)
                wait = min(2 * wait, client.LONGEST_WAIT_SECONDS)
            else:
                return

    def _subscribe(self) -> None:
        self._client.subscribe([(text, 1) for text in self._filters])

    def _on_connect(self, _: Any, __: Any, ___: Any, code: ReasonCode, ____: Any) -> None:
        if code.is_failure:
            remedy = (
                f"set {CREDENTIALS}" if str(code) in WRONG_CREDENTIALS else "MQTT 5 is needed (mosquitto 1.6 or later)"
            )
            self._refusal = f"{self.place} refused the connection: {code}; {remedy}"
        elif self._filters:
            self._subscribe()
        self._answered.set()

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: ReasonCode, ____: Any) -> None:
        if code.is_failure:
            self.breaks += 1
            log.warning("%s: connection lost (%s); trying again", self.place, code)

    def _on_subscribe(self, _: Any, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        refused = [code for code in codes if code.is_failure]
        if refused:
            self._refusal = (
                f"{self.place} refused a subscription ({refused[0]}); let {CREDENTIALS} name an account that may read"
            )
        self._answered.set()

    def _on_publish(self, _: Any, __: Any, mid: int, code: ReasonCode, ____: Any) -> None:
        with self._acknowledged:
            self._codes[mid] = code
            self._acknowledged.notify_all()


@contextmanager
def connected(place: Address, settings: Settings, *, patience_seconds: float) -> Iterator[Connection]:
    """A connection to the broker at `place`, renewed when it breaks, and closed at the end.

    patience_seconds: how long the broker may take for each thing it is asked [s]
    Raises InputError naming the broker and the remedy: it cannot be reached, is not trusted, does not want us, or
    would be shown a password over a network without TLS.
    """
    connection = Connection(place, settings, patience_seconds=patience_seconds)
    try:
        connection.open()
        yield connection
    finally:
        connection.close()
