"""HTTP on one socket: whatever a caller sends, slowly, wrongly or too much of it, costs only that caller."""

import asyncio
import contextlib
import gzip
import itertools
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattline.params.serving import LimitsParams
from wattline.serving.call import ANYONE, Admission, Call, Reply
from wattline.serving.refusal import RefusedError
from wattline.serving.transport import connection
from wattline.serving.transport.connection import Connection

pytestmark = pytest.mark.anyio
LIMITS = {
    "body_bytes": 2048,
    "bodies_bytes": 65536,
    "header_bytes": 1024,
    "header_seconds": 1.0,
    "body_seconds": 1.0,
    "idle_seconds": 5.0,
    "deadline_seconds": 5.0,
    "request_windows": 10,
    "queue_windows": 10,
    "queue_share": 0.5,
    "connections": 5,
}


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: they differ in whether new bytes or callbacks come first."""
    return "asyncio", {"use_uvloop": request.param}


class Transport:
    """What a connection writes to, without a socket."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = self.aborted = False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def connected(host: "Echo") -> tuple[Connection, Transport]:
    """A connection without a socket, so that a test says when what happens."""
    one, transport = Connection(host), Transport()
    one.connection_made(transport)
    return one, transport


class Echo:
    """A host that answers with what it was sent; /hold waits to be released, /no is refused before its body."""

    def __init__(self, **limits: Any) -> None:
        self.limits = LimitsParams(**(LIMITS | limits))
        self.connections: set[Connection] = set()
        self.draining = False
        self.arriving = self.body_bytes = 0
        self.held: list[Callable[[], None]] = []
        self.cancelled = 0
        self.refusals: list[str] = []
        self.calls = 0
        self._ids = itertools.count()

    def new_id(self) -> str:
        return str(next(self._ids))

    def admit(self, method: str, path: str, headers: dict[str, str], peer: str) -> Admission:
        if path == "/no":
            raise RefusedError("no", status=503, reason="queue", headers={"Retry-After": "1"})
        return Admission(ANYONE, None)

    def refused(self, error: RefusedError, method: str, path: str) -> None:
        self.refusals.append(error.reason)

    def handle(self, call: Call, reply: Callable[[Reply], None]) -> Callable[[], None] | None:
        self.calls += 1
        if call.path == "/large":
            reply(Reply(200, b"x" * 50_000_000))
            return None
        answer = Reply(200, json.dumps({"path": call.path, "body": call.body.decode("latin-1")}).encode())
        if call.path != "/hold":
            reply(answer)
            return None
        self.held.append(lambda: reply(answer))

        def cancel() -> None:
            self.cancelled += 1

        return cancel


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[Echo, int]]:
    host = Echo(**limits)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(host), "127.0.0.1", 0)

    async def check() -> None:
        while True:
            await asyncio.sleep(0.01)
            for connection in list(host.connections):
                connection.check(time.monotonic())

    task = asyncio.create_task(check())
    try:
        yield host, server.sockets[0].getsockname()[1]
    finally:
        task.cancel()
        server.close()
        for connection in list(host.connections):
            connection.abort()
        await server.wait_closed()


class Caller:
    """One socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of the next reply."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers, json.loads(body) if body else None

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


def post(path: str = "/", body: bytes = b"", *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def fine(port: int) -> bool:
    """Whether somebody else is served."""
    async with calling(port) as other:
        other.send(post("/", b"hello"))
        return (await other.answer())[2]["body"] == "hello"


async def test_a_connection_is_kept_and_answers_in_order_even_when_requests_are_sent_ahead():
    async with serving() as (_, port), calling(port) as caller:
        caller.send(b"".join(post(f"/{number}", b"abc") for number in range(30)))
        assert [(await caller.answer())[2]["path"] for _ in range(30)] == [f"/{number}" for number in range(30)]


async def test_requests_sent_ahead_wait_for_the_answer_before_them():
    async with serving() as (host, port), calling(port) as caller:
        caller.send(post("/hold") + post("/second"))
        await until(lambda: host.held)
        caller.send(post("/third"))
        await asyncio.sleep(0.02)
        assert host.calls == 1
        host.held.pop()()
        assert [(await caller.answer())[2]["path"] for _ in range(3)] == ["/hold", "/second", "/third"]


@given(cuts=st.lists(st.integers(1, 200), max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]):
    async def scenario() -> None:
        text = post("/first", b"a" * 50) + post("/chunked", b"", "X: y").replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked"
        ) + b"5\r\nhello\r\n0\r\n\r\n" + post("/last", b"b")  # fmt: skip
        async with serving(header_seconds=10, body_seconds=10) as (_, port), calling(port) as caller:
            at = 0
            for cut in sorted(set(cuts)):
                caller.send(text[at:cut])
                await caller.writer.drain()
                await asyncio.sleep(0.001)
                at = cut
            caller.send(text[at:])
            found = [(await caller.answer())[2] for _ in range(3)]
        assert [(one["path"], one["body"]) for one in found] == [
            ("/first", "a" * 50),
            ("/chunked", "hello"),
            ("/last", "b"),
        ]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/3.7\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2049\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n900\r\n" + b"a" * 0x900 + b"\r\n", 413),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2000, 431),
        (b"GET /" + b"a" * 2000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_what_is_not_a_request_is_refused_and_the_connection_ends(request_: bytes, status: int):
    async with serving() as (host, port), calling(port) as caller:
        caller.send(request_)
        found, _, body = await caller.answer()
        assert (found, list(body)) == (status, ["error"])
        assert await caller.ended()
        assert await fine(port)
        assert host.arriving == 0


@pytest.mark.parametrize(
    ("start", "status"), [(b"POST / HTTP/1.1\r\nHo", 408), (post("/", b"x" * 100)[:-50], 408), (b"", None)]
)
async def test_a_caller_who_stops_in_the_middle_is_let_go_while_others_are_served(start: bytes, status: int | None):
    async with serving() as (host, port), calling(port) as caller:
        caller.send(start)
        assert await fine(port)
        if status:
            assert (await caller.answer())[0] == status
        assert await caller.ended()
        assert host.arriving == 0


async def test_a_caller_who_sends_a_byte_now_and_then_gains_no_time():
    async with serving() as (_, port), calling(port) as caller:
        for byte in b"POST / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            caller.send(bytes([byte]))
            await asyncio.sleep(0.05)
            if caller.reader.at_eof() or len(caller.reader._buffer):  # type: ignore[attr-defined]
                break
        else:
            pytest.fail("the headers took longer than they may")
        assert (await caller.answer())[0] == 408


async def test_a_caller_who_leaves_frees_the_place():
    async with serving() as (host, port):
        async with calling(port) as caller:
            caller.send(post("/hold"))
            await until(lambda: host.held)
        await until(lambda: host.cancelled == 1 and not host.connections)
        host.held.pop()()
        assert await fine(port)


async def test_a_caller_who_does_not_read_is_dropped_and_its_answer_with_it():
    async with serving() as (host, port), calling(port) as caller:
        caller.send(post("/large"))
        await until(lambda: host.calls == 1)
        await until(lambda: not host.connections)
        assert await fine(port)


async def test_a_refused_body_is_not_waited_for_and_the_connection_can_be_kept():
    async with serving() as (host, port), calling(port) as caller:
        caller.send(post("/no", b"x" * 1000)[:-1000])
        status, headers, body = await caller.answer()
        assert (status, headers["retry-after"], body) == (503, "1", {"error": "no"})
        caller.send(b"x" * 1000 + post("/yes"))
        assert (await caller.answer())[2]["path"] == "/yes"
        assert host.refusals == ["queue"]


async def test_who_was_sent_away_and_asks_again_at_once_is_answered_a_moment_later_and_in_order():
    async with serving() as (host, port), calling(port) as caller:
        for _ in range(3):
            caller.send(post("/no"))
            assert (await caller.answer())[0] == 503
            caller.send(post("/a")[:20])
            await asyncio.sleep(0)
            caller.send(post("/a")[20:] + post("/b"))
            assert [(await caller.answer())[2]["path"] for _ in range(2)] == ["/a", "/b"]
        assert host.refusals == ["queue"] * 3


async def test_who_was_sent_away_is_not_read_for_a_while_and_what_was_sent_is_not_lost(monkeypatch):
    monkeypatch.setattr(connection, "SECONDS_UNREAD", 3600.0)
    async with serving() as (host, port), calling(port) as caller:
        caller.send(post("/no"))
        assert (await caller.answer())[0] == 503
        caller.send(post("/a"))
        (one,) = host.connections
        await until(lambda: bool(one._early))
        one.leave()
        one.check(time.monotonic())
        assert host.calls == 0
        one._waited()
        assert (await caller.answer())[2]["path"] == "/a"


async def test_more_connections_than_allowed_are_told_so():
    async with serving() as (_, port):
        callers = [calling(port) for _ in range(5)]
        for one in callers:
            caller = await one.__aenter__()
            caller.send(post())
            await caller.answer()
        async with calling(port) as sixth:
            status, headers, body = await sixth.answer()
            assert (status, headers["retry-after"], list(body)) == (503, "1", ["error"])
        for one in callers:
            await one.__aexit__(None, None, None)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
async def test_a_compressed_body_is_what_it_was(compress: Callable[[bytes], bytes]):
    async with serving() as (_, port), calling(port) as caller:
        caller.send(post("/", compress(b"a" * 2000), "Content-Encoding: gzip"))
        assert (await caller.answer())[2]["body"] == "a" * 2000


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b"0" * 3_000_000, mtime=0)[:2000], "gzip", 413),
        (gzip.compress(b"0" * 3000, mtime=0), "gzip", 413),
        (gzip.compress(b"abc", mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b"abc", mtime=0) + b"more", "gzip", 400),
        (b"abc", "gzip", 400),
        (b"", "gzip", 400),
        (b"abc", "br", 415),
        (gzip.compress(gzip.compress(b"abc", mtime=0), mtime=0), "gzip, gzip", 415),
    ],
    ids=["bomb", "expands", "truncated", "and-more", "not-gzip", "empty", "brotli", "twice"],
)
async def test_a_body_that_expands_too_far_or_not_at_all_is_refused(body: bytes, encoding: str, status: int):
    async with serving() as (_, port), calling(port) as caller:
        caller.send(post("/", body, f"Content-Encoding: {encoding}"))
        found, _, content = await caller.answer()
        assert (found, list(content)) == (status, ["error"])
        caller.send(post("/still-open"))
        assert (await caller.answer())[0] == 200


async def test_a_caller_who_asks_whether_to_go_on_is_told():
    async with serving() as (_, port), calling(port) as caller:
        caller.send(post("/", b"hello", "Expect: 100-continue")[:-5])
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        caller.send(b"hello")
        assert (await caller.answer())[2]["body"] == "hello"


@pytest.mark.parametrize("asked", ["0", "-1", "soon", "1e9", "9999999999"])
async def test_a_deadline_that_is_none_is_refused(asked: str):
    async with serving() as (_, port), calling(port) as caller:
        caller.send(post("/", b"", f"X-Deadline-Ms: {asked}"))
        status, _, body = await caller.answer()
        assert (status, asked in body["error"]) == (400, True)


async def test_http_1_0_and_connection_close_end_after_the_answer():
    async with serving() as (_, port):
        for text in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
            async with calling(port) as caller:
                caller.send(text)
                assert (await caller.answer())[0] == 200
                assert await caller.ended()


async def test_an_offer_to_upgrade_is_not_taken_up():
    async with serving() as (_, port), calling(port) as caller:
        caller.send(b"GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        assert (await caller.answer())[2]["path"] == "/x"
        assert await caller.ended()


async def test_head_gets_the_length_but_no_body():
    async with serving() as (_, port), calling(port) as caller:
        caller.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = (await caller.reader.readuntil(b"\r\n\r\n")).decode()
        assert "content-length: " in head
        caller.send(post("/next"))
        assert (await caller.answer())[2]["path"] == "/next"


async def test_a_draining_server_finishes_what_it_has_and_closes():
    async with serving() as (host, port), calling(port) as caller, calling(port) as idle:
        caller.send(post("/hold"))
        idle.send(post())
        await idle.answer()
        await until(lambda: host.held)
        host.draining = True
        for connection in list(host.connections):
            connection.leave()
        assert await idle.ended()
        host.held.pop()()
        _, headers, body = await caller.answer()
        assert (headers["connection"], body["path"]) == ("close", "/hold")
        assert await caller.ended()


async def test_a_flood_of_requests_sent_ahead_is_not_read_beyond_a_bound():
    async with serving() as (host, port), calling(port) as caller:
        caller.send(post("/hold"))
        await until(lambda: host.held)
        flood = post("/x", b"y" * 100) * 20_000
        caller.send(flood)
        await asyncio.sleep(0.1)
        (connection,) = host.connections
        assert len(connection._early) < 1_000_000
        assert host.calls == 1
        assert await fine(port)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for `condition`, at most ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_what_follows_a_body_is_bounded_and_changes_nothing_that_was_admitted():
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    async with serving() as (_, port):
        async with calling(port) as caller:
            caller.send(head + b"Content-Encoding: gzip\r\nX-Deadline-Ms: 0\r\n\r\n")
            assert (await caller.answer())[2] == {"path": "/x", "body": "abc"}
        async with calling(port) as caller:
            caller.send(head + b"".join(b"h%d: v\r\n" % at for at in range(1000)))
            assert (await caller.answer())[0] == 431
        async with calling(port) as caller:
            caller.send(head + b"h: ")
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    caller.send(b"v" * 100)
                    await caller.writer.drain()
                    await asyncio.sleep(0)
            assert (await caller.answer())[0] == 431
        assert await fine(port)


async def test_long_headers_are_refused_even_if_they_arrive_at_once():
    async with serving() as (host, port), calling(port) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 5000 + b"\r\n\r\n")
        assert (await caller.answer())[0] == 431
        assert host.calls == 0


async def test_nothing_overtakes_what_was_sent_ahead():
    host = Echo()
    one, transport = connected(host)
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    ahead = post("/b", body)
    one.data_received(post("/hold"))
    one.data_received(ahead[: -len(body)])
    host.held.pop()()
    one.data_received(ahead[-len(body) :])
    for _ in range(3):
        await asyncio.sleep(0)
    assert host.calls == 2
    assert b"smuggled HTTP" in transport.written
    assert b'"/smuggled"' not in transport.written


async def test_a_refused_caller_keeps_its_connection_as_long_as_an_answered_one():
    host = Echo()
    for sent in (post("/no"), post("/no", b"x" * 10), post("/yes")):
        one, transport = connected(host)
        one.data_received(sent)
        one.check(time.monotonic() + 4.0)
        assert not transport.closing
        one.check(time.monotonic() + 6.0)
        assert transport.closing


async def test_a_caller_who_does_not_read_the_end_is_dropped():
    host = Echo()
    one, transport = connected(host)
    one.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert transport.closing
    one.check(time.monotonic() + 0.5)
    assert not transport.aborted
    one.check(time.monotonic() + 1.5)
    assert transport.aborted


@pytest.mark.parametrize("line", ["X-Deadline-Ms: 0", "Content-Encoding: br"])
async def test_a_refused_head_has_no_body_either(line: str):
    one, transport = connected(Echo())
    one.data_received(f"HEAD / HTTP/1.1\r\nHost: a\r\n{line}\r\nContent-Length: 0\r\n\r\n".encode())
    assert transport.written.startswith(b"HTTP/1.1 4")
    assert transport.written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_refused_offer_to_upgrade_ends_the_connection_and_says_so(version: str):
    one, transport = connected(Echo())
    upgrade = f"GET /no HTTP/{version}\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    one.data_received(upgrade.encode())
    assert b"connection: close" in transport.written
    assert transport.closing


async def test_bodies_of_all_callers_together_are_bounded():
    host = Echo(bodies_bytes=3500)
    first, _ = connected(host)
    first.data_received(post("/a", b"x" * 2000)[:-1])
    second, refused = connected(host)
    second.data_received(post("/b", b"x" * 2000))
    assert refused.written.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in refused.written
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    third, refused = connected(host)
    third.data_received(chunked + b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert not refused.written
    third.connection_lost(None)
    assert host.body_bytes == 2000
    first.data_received(b"x")
    assert host.body_bytes == 0
    fourth, answered = connected(host)
    fourth.data_received(post("/d", b"x" * 2000))
    assert answered.written.startswith(b"HTTP/1.1 200")
    assert host.body_bytes == 0


async def test_a_large_body_that_was_sent_away_is_not_read_for_a_while(monkeypatch):
    monkeypatch.setattr(connection, "LARGE_BODY", 1000)
    monkeypatch.setattr(connection, "SECONDS_UNREAD_LARGE", 3600.0)
    host = Echo()
    one, transport = connected(host)
    one.data_received(post("/no", b"x" * 2000)[:-2000])
    assert transport.written.startswith(b"HTTP/1.1 503")
    assert one._unread
    one._waited()
    one.data_received(b"x" * 2000 + post("/yes"))
    assert b'"/yes"' in transport.written
