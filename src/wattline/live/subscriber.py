"""A subscription whose messages are read as fast as they come, and that is renewed when it breaks."""

import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wattline.errors import InputError
from wattline.live import packets
from wattline.live.packets import Cut
from wattline.settings import Settings
from wattline.sources.mqtt import client
from wattline.sources.mqtt.address import Address

KEEP_ALIVE_SECONDS = 30
CHUNK_BYTES = 1 << 20
WAITING_CHUNKS = 256
"""Chunks that wait to be decoded: beyond them we stop reading, and the broker drops what it cannot hand on."""
LONGEST_WAIT_SECONDS = 5.0

log = logging.getLogger(__name__)


class Subscriber:
    """Messages from a broker, in the order of arrival. It is used within `subscribed`.

    breaks: how often the connection was lost and sought again
    """

    def __init__(
        self, place: Address, settings: Settings, filters: tuple[str, ...], *, patience_seconds: float
    ) -> None:
        self.breaks = 0
        self._place, self._settings, self._filters = place, settings, filters
        self._patience = patience_seconds
        # Which connection it was, and what came of it: what is left of a packet ends with its connection.
        self._chunks: queue.Queue[tuple[int, bytes] | InputError] = queue.Queue(WAITING_CHUNKS)
        self._connection, self._rest = 0, b""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="mqtt", daemon=True)

    def open(self) -> None:
        """Raises InputError when the broker cannot be reached, is not trusted or does not want us."""
        self._socket = self._connected()
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._socket.sendall(packets.DISCONNECT)
        self._hang_up()
        while self._thread.is_alive():  # it may wait for room
            with suppress(queue.Empty):
                self._chunks.get_nowait()
            self._thread.join(0.05)
        self._socket.close()

    def messages(self, *, within_seconds: float) -> Iterator[Cut]:
        """What has arrived, waiting so long for the first of it.

        Raises InputError when the broker is gone for longer than the patience.
        """
        with suppress(queue.Empty):
            yield from self._cut(self._chunks.get(timeout=within_seconds))
            for _ in range(WAITING_CHUNKS):
                yield from self._cut(self._chunks.get_nowait())

    def _cut(self, item: tuple[int, bytes] | InputError) -> Iterator[Cut]:
        if isinstance(item, InputError):
            raise item
        connection, data = item
        if connection < self._connection:
            return
        if connection == self._connection:
            data = self._rest + data
        self._connection = connection
        try:
            found = packets.cut(data)
        except packets.StreamError as error:
            log.warning("%s: %s", self._place, error)
            self._connection, self._rest = connection + 1, b""
            self._hang_up()
            return
        self._rest = data[found.used :]
        yield found

    def _hang_up(self) -> None:
        """The reading thread finds the connection closed, and seeks another one."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        connection, asked = 0, time.monotonic()
        while not self._ended.is_set():
            try:
                if found := self._received():
                    self._chunks.put((connection, found))
            except OSError as error:
                if self._ended.is_set() or not self._again(error):
                    return
                connection += 1
            if time.monotonic() - asked > KEEP_ALIVE_SECONDS / 3:
                asked = time.monotonic()
                with suppress(OSError):
                    self._socket.sendall(packets.PINGREQ)

    def _received(self) -> bytes:
        """Nothing when nothing came for a while. Raises OSError when the connection is lost."""
        try:
            found = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            return b""
        if not found:
            raise ConnectionError("the broker hung up")
        return found

    def _again(self, error: Exception) -> bool:
        """Seek the broker until the patience ends."""
        self.breaks += 1
        log.warning("%s: connection lost (%s); trying again", self._place, error)
        with suppress(OSError):
            self._socket.close()
        try:
            self._socket = self._connected()
        except InputError as refused:
            self._chunks.put(refused)
            return False
        return True

    def _connected(self) -> socket.socket:
        deadline, wait = time.monotonic() + self._patience, 0.2
        while True:
            try:
                return self._greeted(self._reached())
            except OSError as error:
                if time.monotonic() + wait > deadline or self._ended.is_set():
                    raise InputError(
                        f"{self._place} cannot be reached: {error}; start the broker, or correct its address"
                    ) from None
            self._ended.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _reached(self) -> socket.socket:
        found = socket.create_connection((self._place.host, self._place.port), timeout=self._patience)
        if not self._place.tls:
            return found
        return client.context(self._settings).wrap_socket(found, server_hostname=self._place.host)

    def _greeted(self, found: socket.socket) -> socket.socket:
        """Introduce ourselves and subscribe. Raises InputError when the broker says no."""
        user, password = client.credentials(self._place, self._settings)
        name = f"wattline-{secrets.token_hex(8)}"
        found.sendall(packets.connect(name, keep_alive_seconds=KEEP_ALIVE_SECONDS, user=user, password=password))
        code = _answer(found, packets.CONNACK)[1]
        if code:
            raise InputError(f"{self._place} refused the connection: {packets.REFUSALS.get(code, f'code {code}')}")
        found.sendall(packets.subscribe(self._filters))
        if 0x80 in _answer(found, packets.SUBACK)[2:]:
            raise InputError(f"{self._place} refused a subscription; let the account read {', '.join(self._filters)}")
        found.settimeout(1.0)
        return found


def _answer(found: socket.socket, kind: int) -> bytes:
    """The body of the next packet, which must be of a kind. Raises OSError for anything else."""
    head = _exactly(found, 2)
    if head[0] >> 4 != kind or head[1] & 0x80:
        raise ConnectionError("what answers is no MQTT broker; check the port, and whether it expects TLS")
    return _exactly(found, head[1])


def _exactly(found: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = found.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker hung up")
        data += part
    return data


@contextmanager
def subscribed(
    place: Address, settings: Settings, filters: tuple[str, ...], *, patience_seconds: float
) -> Iterator[Subscriber]:
    """Listen to all that `filters` match, until the block ends.

    patience_seconds: how long the broker may take for an answer, or be away [s]
    """
    found = Subscriber(place, settings, filters, patience_seconds=patience_seconds)
    found.open()
    try:
        yield found
    finally:
        found.close()
