"""MQTT 3.1.1 as bytes: what a subscriber with QoS 0 sends, and the messages in what it receives.

Section numbers are those of the OASIS standard of 2014. A client library calls a function for each message, which takes
ten times as long as to cut it out of the stream.
"""

from dataclasses import dataclass, field

from wattline.errors import InputError

CONNACK, PUBLISH, SUBACK, PINGRESP = 2, 3, 9, 13
PINGREQ = bytes([12 << 4, 0])
DISCONNECT = bytes([14 << 4, 0])
PLAIN = PUBLISH << 4
"""First byte of a message with QoS 0 that was not kept from before."""
SHORT = "a PUBLISH is shorter than its topic; what answers is no MQTT broker"
LARGEST_BYTES = 1 << 20
"""Of one packet: samples have some hundred."""
REFUSALS = {
    1: "it speaks no MQTT 3.1.1",
    2: "it does not want our name",
    3: "it is not ready",
    4: "wrong user or password; set WATTLINE_MQTT_USER and WATTLINE_MQTT_PASSWORD",
    5: "this account may not connect; set WATTLINE_MQTT_USER and WATTLINE_MQTT_PASSWORD",
}
"""Return codes of CONNACK (3.2.2.3)."""


class StreamError(InputError):
    """What arrives is no MQTT. The connection is of no use any more."""


@dataclass
class Cut:
    """Messages cut out of a stream.

    topics, payloads: of each PUBLISH, in order
    retained: places of those that the broker had kept from before
    others: (type, body) of packets that are no PUBLISH
    used: bytes that were whole packets
    """

    topics: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    retained: list[int] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)
    used: int = 0


def cut(data: bytes) -> Cut:
    """Take all whole packets from the beginning of `data` (2.2, 3.3). Raises StreamError for what is no MQTT."""
    found = Cut()
    topics, payloads = found.topics.append, found.payloads.append
    position, size = 0, len(data)
    while position + 2 <= size:
        length, head = data[position + 1], position + 2
        if length & 0x80:
            length, head = _length(data, position + 1)
            if head == 0:
                break
        end = head + length
        if end > size:
            if length > LARGEST_BYTES:
                raise StreamError(f"a packet of {length:,} bytes arrived; no sample has more than {LARGEST_BYTES:,}")
            break
        if data[position] == PLAIN and length > 1:
            begin = head + 2
            middle = begin + (data[head] << 8 | data[head + 1])
            if middle > end:
                raise StreamError(SHORT)
            topics(data[begin:middle])
            payloads(data[middle:end])
        else:
            _take(found, data[position], data[head:end])
        position = end
    found.used = position
    return found


def _take(found: Cut, first: int, body: bytes) -> None:
    """A packet that is not simply a sample."""
    if first >> 4 in (CONNACK, SUBACK, PINGRESP):
        found.others.append((first >> 4, body))
        return
    if first >> 4 != PUBLISH:
        raise StreamError(
            f"a packet of type {first >> 4} arrived, which no broker sends to us; what answers is no broker"
        )
    middle = 2 + int.from_bytes(body[:2], "big")
    begin = middle + 2 if first & 0x06 else middle  # a packet identifier, where there is QoS
    if begin > len(body) or len(body) < 2:
        raise StreamError(SHORT)
    if first & 0x01:
        found.retained.append(len(found.topics))
    found.topics.append(body[2:middle])
    found.payloads.append(body[begin:])


def _length(data: bytes, position: int) -> tuple[int, int]:
    """A length of several bytes (2.2.3), and where what it counts begins; (0, 0) where it is cut off."""
    value = 0
    for place in range(4):
        if position + place >= len(data):
            return 0, 0
        byte = data[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, position + place + 1
    raise StreamError("a packet has a length of five bytes; what answers is no MQTT broker")


def connect(name: str, *, keep_alive_seconds: int, user: str, password: str | None) -> bytes:
    """CONNECT with a clean session (3.1)."""
    flags = 0x02 | (0x80 if user else 0) | (0x40 if user and password is not None else 0)
    body = _text("MQTT") + bytes([4, flags]) + keep_alive_seconds.to_bytes(2, "big") + _text(name)
    if user:
        body += _text(user) + (_text(password) if password is not None else b"")
    return bytes([1 << 4]) + _counted(body)


def subscribe(filters: tuple[str, ...]) -> bytes:
    """SUBSCRIBE to all with QoS 0 (3.8)."""
    body = (1).to_bytes(2, "big") + b"".join(_text(text) + b"\0" for text in filters)
    return bytes([8 << 4 | 2]) + _counted(body)


def publish(topic: bytes, payload: bytes) -> bytes:
    """PUBLISH with QoS 0 (3.3), as a broker hands it on."""
    return bytes([PUBLISH << 4]) + _counted(len(topic).to_bytes(2, "big") + topic + payload)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _counted(body: bytes) -> bytes:
    """A length (2.2.3) and what it counts."""
    length, left = bytearray(), len(body)
    while True:
        left, byte = left >> 7, left & 0x7F
        length.append(byte | (0x80 if left else 0))
        if not left:
            return bytes(length) + body
