"""One HTTP/1.1 connection of a client, with at most one request under way: as little Python as that takes."""

import asyncio
from typing import Any, Protocol

END_OF_HEADERS = b"\r\n\r\n"


class Owner(Protocol):
    """Who hears of a connection."""

    def answered(self, connection: "Connection", status: str, head: bytes, body: bytes) -> None: ...

    def ended(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Sends one request after the other.

    turn, due: which request is under way, and when it was due
    busy: whether one is
    """

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.turn, self.due, self.busy = 0, 0.0, False
        self._buffer = bytearray()
        self._missing = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes, turn: int, due: float) -> None:
        """Send `request`, which was due at `due`."""
        self.turn, self.due, self.busy = turn, due, True
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._missing:
            return
        head_end = buffer.find(END_OF_HEADERS)
        if head_end < 0:
            return
        head = bytes(buffer[:head_end])
        begin = head_end + len(END_OF_HEADERS)
        if b"transfer-encoding: chunked" in head.lower():
            found = unchunked(buffer, begin)
            if found is None:
                return
            body = found
        else:
            end = begin + content_length(head)
            if len(buffer) < end:
                self._missing = end
                return
            body = bytes(buffer[begin:end])
        buffer.clear()
        self._missing, self.busy = 0, False
        self.owner.answered(self, head[9:12].decode(), head, body)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.owner.ended(self)


def content_length(head: bytes) -> int:
    """The announced length of an answer's body [bytes]. Raises ValueError where there is none."""
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer has no Content-Length: {head!r}")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0])


def unchunked(buffer: bytearray, begin: int) -> bytes | None:
    """The body that begins there in chunks; None while it is not complete."""
    parts = []
    while (line := buffer.find(b"\r\n", begin)) >= 0:
        size = int(bytes(buffer[begin:line]).split(b";")[0], 16)
        begin = line + 2 + size + 2
        if begin > len(buffer):
            return None
        if not size:
            return b"".join(parts)
        parts.append(bytes(buffer[line + 2 : line + 2 + size]))
    return None
