"""What a real broker hands on: mosquitto on loopback, to somebody who only reads, and to the live path.

All that a fleet says in one window is published as fast as the broker takes it. Publisher, broker and subscriber share
this machine's cores.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wattline.live import packets
from wattline.live.running import Live
from wattline.live.subscriber import subscribed
from wattline.settings import Settings
from wattline.sources.mqtt import address

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from sources.broker import Broker, Mosquitto  # noqa: E402

QUIET_SECONDS = 2.0
"""Without a message for so long, no further one is to come."""
UNLIMITED = ("max_queued_messages 0", "max_inflight_messages 0", "set_tcp_nodelay true")
EVERYTHING = ("org/#",)


@dataclass(frozen=True)
class Handed:
    """messages: that arrived; seconds: from the first byte that was published to the last one that arrived"""

    messages: int
    seconds: float

    def told(self, published: int) -> str:
        lost = 100 * (1 - self.messages / published)
        return f"{self.messages / self.seconds:>9,.0f} messages/s, {lost:.1f} % of {published:,} dropped by the broker"


def compare(data: bytes, messages: int, *, live: Live, folder: Path) -> None:
    """Print what arrives of `messages` messages, whose bytes are `data`."""
    if os.getuid() != 0 and not Path("/usr/sbin/mosquitto").exists():
        print("      a real broker is not measured: mosquitto is not here, and only root can install it")
        return
    broker = Mosquitto(Path("/tmp") / f"wattline-tests-{os.getuid()}").broker(folder / "broker", *UNLIMITED)
    with broker.running():
        print(f"      mosquitto to one who only reads: {_handed(broker, data, _read).told(messages)}")
        taken = _handed(broker, data, lambda broker, begin: _scored(broker, begin, live))
        print(f"      mosquitto to the live path:      {taken.told(messages)}")


def _handed(broker: Broker, data: bytes, receive: Callable[[Broker, Callable[[], None]], tuple[int, float]]) -> Handed:
    """Publish while `receive` does what it does; it says how many came, and when the last one did."""
    publisher = threading.Thread(target=_publish, args=(broker, data), daemon=True)
    started = 0.0

    def begin() -> None:
        nonlocal started
        started = time.perf_counter()
        publisher.start()

    count, last = receive(broker, begin)
    publisher.join()
    return Handed(count, last - started)


def _connected(broker: Broker, name: str) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", broker.port))
    found.sendall(packets.connect(name, keep_alive_seconds=600, user="", password=None))
    assert found.recv(4)[0] >> 4 == packets.CONNACK
    return found


def _publish(broker: Broker, data: bytes) -> None:
    """One call outside of the interpreter's lock."""
    with _connected(broker, "publisher") as found:
        found.sendall(data + packets.DISCONNECT)


def _read(broker: Broker, begin: Callable[[], None]) -> tuple[int, float]:
    with _connected(broker, "reader") as found:
        found.sendall(packets.subscribe(EVERYTHING))
        assert found.recv(5)[0] >> 4 == packets.SUBACK
        found.settimeout(QUIET_SECONDS)
        parts, last = [], 0.0
        begin()
        while True:
            try:
                parts.append(found.recv(1 << 20))
            except TimeoutError:
                return len(packets.cut(b"".join(parts)).topics), last
            last = time.perf_counter()


def _scored(broker: Broker, begin: Callable[[], None], live: Live) -> tuple[int, float]:
    count, last = 0, 0.0
    place = address.parsed(broker.address)
    with subscribed(place, Settings(), EVERYTHING, patience_seconds=30.0) as subscriber:
        begin()
        while not last or time.perf_counter() - last < QUIET_SECONDS:
            for found in subscriber.messages(within_seconds=0.2):
                live.take(found, now=time.time())
                count, last = count + len(found.topics), time.perf_counter()
    return count, last
