"""HTTP/1.1 on one socket, with a bound on everything a caller can make grow: bytes, seconds, requests."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from wattline.params.serving import LimitsParams
from wattline.serving.call import Admission, Call, Reply, refusal
from wattline.serving.refusal import RefusedError
from wattline.serving.transport import wire

LARGEST_DISCARD = 4 * 1024 * 1024
"""A refused body up to this size is read and thrown away, so that the connection can be kept [bytes]."""
LARGEST_EARLY = 65536
"""What a caller may send ahead while an answer of its own is under way [bytes]."""
SECONDS_TO_LINGER = 2.0
SECONDS_UNREAD = 0.02
"""A caller that was just sent away is not read again at once: that bounds what refusals can cost."""
LARGE_BODY = 65536
SECONDS_UNREAD_LARGE = 1.0
"""Nor is such a body, longer: reading what nobody wants costs as much as an answer. It is the least Retry-After [s]."""
NEW, HEAD, BODY, REFUSED, ENDED = range(5)
"""Where the parser is: between requests, in headers, in a body, in a body that nobody wants, at the end."""


class Host(Protocol):
    """What a connection needs of the server it belongs to.

    arriving: requests whose headers were admitted and whose body is not complete
    body_bytes: of all bodies that are being received, or whose requests are being answered
    """

    limits: LimitsParams
    connections: "set[Connection]"
    draining: bool
    arriving: int
    body_bytes: int

    def admit(self, method: str, path: str, headers: dict[str, str], peer: str) -> Admission:
        """Who asks for what. Raises RefusedError for a request whose body is not worth receiving."""

    def handle(self, call: Call, reply: Callable[[Reply], None]) -> Callable[[], None] | None:
        """Start answering; `reply` is called once. Returns what cancels the work when the caller leaves."""

    def refused(self, error: RefusedError, method: str, path: str) -> None:
        """Count a request that never became a call."""

    def new_id(self) -> str: ...


class Connection(asyncio.Protocol):
    """One caller's socket. Requests are complete and within the limits before anybody else sees them."""

    def __init__(self, host: Host) -> None:
        self._host, self._limits = host, host.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._peer = ""
        self._phase = NEW
        self._busy = False
        self._expires = time.monotonic() + host.limits.header_seconds
        self._write_expires = 0.0
        self._unread_until = 0.0
        self._unread = False
        self._early = b""
        self._waiting: deque[tuple[Call | RefusedError, bool, bool]] = deque()
        self._counted = 0
        self._cancel: Callable[[], None] | None = None
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = self._head_size = self._field_size = self._bare_size = 0
        self._method = self._path = self._query = ""
        self._admission: Admission | None = None

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else "local"
        full = len(self._host.connections) >= self._limits.connections
        self._host.connections.add(self)
        if full:
            self._end(
                RefusedError(
                    f"{self._limits.connections} connections are open already; ask again in 1 s",
                    status=503,
                    reason="connections",
                    headers={"Retry-After": "1"},
                )
            )

    def connection_lost(self, _: Exception | None) -> None:
        self._host.connections.discard(self)
        self._enter(ENDED)
        self._waiting.clear()
        self._uncount()
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def eof_received(self) -> bool:
        # Hardly any client of HTTP closes one direction only; most often this is a caller who left.
        return False

    def data_received(self, data: bytes) -> None:
        if self._phase == ENDED:
            return
        if self._busy or self._hasty():
            self._early += data
            self._read_or_not()
            return
        before, size = self._phase, self._size
        if before in (NEW, HEAD):
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._enter(ENDED)
        except httptools.HttpParserError as error:
            self._end(RefusedError(f"this is not valid HTTP/1.1: {str(error)[:100]}", reason="http"))
        else:
            # What follows the last chunk of a body is fields again, and the parser keeps them until they end.
            bare = self._phase == before == BODY and self._size == size
            self._bare_size = self._bare_size + len(data) if bare else 0
            if max(self._head_size if self._phase == HEAD else 0, self._bare_size) > self._limits.header_bytes:
                self._end(wire.long_head(self._limits))
            elif self._phase != before:
                self._rearm()

    def pause_writing(self) -> None:
        self._write_expires = time.monotonic() + self._limits.body_seconds
        self._read_or_not()

    def resume_writing(self) -> None:
        self._write_expires = 0.0
        self._read_or_not()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._phase != ENDED:
            self._enter(HEAD)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == ENDED:
            return
        self._field_size += len(name) + len(value) + len(b": \r\n")
        if self._field_size + len(self._url) > self._limits.header_bytes:
            self._end(wire.long_head(self._limits))
            return
        if self._phase != HEAD:
            return  # behind the body, where what was admitted is not changed any more
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._phase == ENDED:
            return
        self._enter(BODY)
        self._method = self._parser.get_method().decode("latin-1")
        length: int | None = None
        try:
            self._path, self._query = wire.target(self._url)
            length = wire.announced_bytes(self._headers, self._limits)
            self._count(length or 0)
            self._admission = self._host.admit(self._method, self._path, self._headers, self._peer)
        except RefusedError as error:
            self._refuse(error, length)
            return
        if "expect" in self._headers and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._phase != BODY:
            return
        self._size += len(body)
        if self._size > self._limits.body_bytes:
            self._end(wire.large_body(self._limits))
            return
        try:
            self._count(self._size - self._counted)
        except RefusedError as error:
            self._end(error)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        phase = self._phase
        if phase == ENDED:
            return
        self._enter(NEW)
        if phase == BODY:
            self._waiting.append((self._call(), self._can_be_kept(), self._method == "HEAD"))
        else:
            self._expires = time.monotonic() + self._limits.idle_seconds
        self._reset()
        if not self._busy:
            self._next()

    # What the server calls.

    def check(self, now: float) -> None:
        """End the connection when what it waits for is overdue at `now`, an instant of time.monotonic()."""
        if self._write_expires and now >= self._write_expires:
            self._transport.abort()
        elif not self._busy and not self._early and now >= self._expires:
            if self._transport.is_closing() or self._phase == ENDED:
                self._transport.abort()
            elif self._phase in (HEAD, BODY):
                what = "headers" if self._phase == HEAD else "body"
                self._end(RefusedError(f"the {what} did not arrive in time", status=408, reason="slow"))
            else:
                self._close()

    def leave(self) -> None:
        """Close the connection if nothing is under way on it."""
        if self._phase == NEW and not self._busy and not self._early:
            self._close()

    def abort(self) -> None:
        """Close the connection, whatever is under way on it."""
        self._transport.abort()

    # What happens in between.

    def _enter(self, phase: int) -> None:
        if (self._phase == BODY) != (phase == BODY):
            self._host.arriving += 1 if phase == BODY else -1
        self._phase = phase

    def _rearm(self) -> None:
        """Wait for what the phase waits for, from now on."""
        limits = self._limits
        seconds = (
            limits.idle_seconds,
            limits.header_seconds,
            limits.body_seconds,
            limits.body_seconds,
            SECONDS_TO_LINGER,
        )
        self._expires = time.monotonic() + seconds[self._phase]

    def _close(self) -> None:
        """Close once what was written is sent; `check` ends a connection whose caller does not read that."""
        self._expires = time.monotonic() + self._limits.body_seconds
        self._transport.close()

    def _can_be_kept(self) -> bool:
        # An offer to upgrade is not taken up, and the parser cannot go on behind it. In HTTP/1.0, who is kept wants to
        # be told so.
        parser = self._parser
        return parser.should_keep_alive() and not parser.should_upgrade() and parser.get_http_version() != "1.0"

    def _count(self, size: int) -> None:
        """Count `size` more bytes of a body. Raises RefusedError 503 where there is no room for them."""
        if size <= 0:
            return
        held, limit = self._host.body_bytes, self._limits.bodies_bytes
        if held + size > limit and held > self._counted:
            raise RefusedError(
                f"{held} bytes of bodies are held already, at most {limit} may be; ask again in 1 s",
                status=503,
                reason="bodies",
                headers={"Retry-After": "1"},
            )
        self._host.body_bytes += size
        self._counted += size

    def _uncount(self) -> None:
        self._host.body_bytes -= self._counted
        self._counted = 0

    def _call(self) -> Call | RefusedError:
        """The request that has just become complete, or what is wrong with it."""
        now, headers = time.monotonic(), self._headers
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        try:
            if "content-encoding" in headers:
                body = wire.decompressed(body, headers["content-encoding"], limit=self._limits.body_bytes)
            deadline = now + wire.seconds_allowed(headers, self._limits)
        except RefusedError as error:
            self._host.refused(error, self._method, self._path)
            return error
        assert self._admission is not None
        return Call(
            self._method, self._path, self._query, headers, body, self._host.new_id(), now, deadline, self._peer,
            self._admission.principal, self._admission.route,
        )  # fmt: skip

    def _next(self) -> None:
        """Take the next complete request, or what was sent ahead, or wait."""
        if self._transport.is_closing():
            return
        if self._waiting:
            content, keep, head = self._waiting.popleft()
            self._busy = True
            if isinstance(content, RefusedError):
                self._send(refusal(content), keep=keep, head=head)
            else:
                self._handle(content, keep=keep, head=head)
        elif self._early:
            early, self._early = self._early, b""
            self._read_or_not()
            self.data_received(early)
        elif self._host.draining and self._phase == NEW:
            self._close()

    def _handle(self, call: Call, *, keep: bool, head: bool) -> None:
        answered = False

        def reply(content: Reply) -> None:
            nonlocal answered
            if answered:
                return
            answered = True
            self._cancel = None
            self._send(content, keep=keep, head=head)

        cancel = self._host.handle(call, reply)
        if not answered:
            self._cancel = cancel

    def _send(self, reply: Reply, *, keep: bool, head: bool) -> None:
        if self._transport.is_closing():
            return
        keep = keep and not self._host.draining
        self._transport.write(wire.rendered(reply, keep=keep, head=head))
        if not self._waiting and self._phase != BODY:
            self._uncount()
        if not keep:
            self._busy = False
            self._close()
            return
        if self._phase == NEW:
            self._expires = time.monotonic() + self._limits.idle_seconds
        if self._waiting or self._early:
            # What was sent ahead takes its turn after other callers had theirs. Until then nothing may overtake it.
            self._busy = True
            asyncio.get_running_loop().call_soon(self._take_turn)
        else:
            self._busy = False

    def _take_turn(self) -> None:
        self._busy = False
        self._next()

    def _refuse(self, error: RefusedError, length: int | None) -> None:
        """Answer before the body has come. A small one is read and thrown away; otherwise the connection ends."""
        unread = length is None or length > LARGEST_DISCARD or "expect" in self._headers
        if self._busy or unread or not self._can_be_kept():
            self._end(error)
            return
        self._host.refused(error, self._method, self._path)
        self._enter(REFUSED)
        self._uncount()
        if error.status in (429, 503):
            large = length is not None and length > LARGE_BODY
            seconds = SECONDS_UNREAD_LARGE if large else SECONDS_UNREAD
            self._unread_until = time.monotonic() + seconds
            if large:
                self._pause(seconds)
        self._send(refusal(error), keep=True, head=self._method == "HEAD")

    def _end(self, error: RefusedError) -> None:
        """Reply and close, but read on for a moment: a socket closed over unread bytes would take the reply with it."""
        if self._phase == ENDED:
            return
        self._host.refused(error, self._method, self._path)
        self._enter(ENDED)
        self._rearm()
        if self._busy:
            # Answers keep the order of their requests.
            self._waiting.append((error, False, False))
            return
        self._uncount()
        self._transport.write(wire.rendered(refusal(error), keep=False, head=False))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _hasty(self) -> bool:
        """Whether a caller who was just sent away asks again at once. What it sends then has to wait."""
        if not self._unread_until or self._phase != NEW:
            return False
        remaining = self._unread_until - time.monotonic()
        if remaining <= 0:
            self._unread_until = 0.0
            return False
        if not self._unread:
            self._pause(remaining)
        return True

    def _pause(self, seconds: float) -> None:
        """Read nothing from this caller for a while."""
        self._unread = True
        asyncio.get_running_loop().call_later(seconds, self._waited)
        self._read_or_not()

    def _waited(self) -> None:
        self._unread, self._unread_until = False, 0.0
        self._read_or_not()
        if not self._busy:
            self._next()

    def _read_or_not(self) -> None:
        if self._transport.is_closing():
            return
        if self._write_expires or self._unread or len(self._early) > LARGEST_EARLY:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
