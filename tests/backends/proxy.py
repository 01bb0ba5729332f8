"""An HTTP proxy on the loopback that breaks things as a test tells it to, and in no other way."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from backends.faults import Answer, Cut, Fault, Flip, Late, Plan, Rule, Seen, Unanswered, Unasked

# Of one connection, or decided anew by the proxy.
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "expect", "proxy-connection")
NO_BODY = (204, 304)
# Status, headers, body.
Reply = tuple[int, list[tuple[str, str]], bytes]


class Faults:
    """The proxy as a test sees it. With no fault told it changes nothing.

    url: in place of the server's own
    """

    def __init__(self, target: str) -> None:
        self._plan = Plan()
        self._reserved = _socket(0)
        self._port: int = self._reserved.getsockname()[1]
        self._target = target
        self._proxy: _Proxy | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def when(self, fault: Fault, *, path: str = "", method: str = ".*", first: int = 1, times: int | None = 1) -> None:
        """From the `first` matching request from now on, do this to `times` of them; None means to all.

        path: a regular expression that is found anywhere in the path with its query
        """
        self._plan.add(Rule(fault, method, path, first, times))

    def clear(self) -> None:
        """Forget all faults and all requests."""
        self._plan.clear()

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The requests so far, in the order in which the answers were known."""
        return self._plan.seen

    def refuse(self) -> None:
        """Refuse connections, also those that stood open, until `accept`."""
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy = None

    def accept(self) -> None:
        """Take connections, at the same address as before."""
        if self._proxy is None:
            self._proxy = _Proxy(self._port, self._target, self._plan)

    def close(self) -> None:
        self.refuse()
        self._reserved.close()


@contextmanager
def faults(target: str) -> Iterator[Faults]:
    """A proxy in front of the server at the URL `target`."""
    proxy = Faults(target)
    try:
        proxy.accept()
        yield proxy
    finally:
        proxy.close()


def _socket(port: int) -> socket.socket:
    """A bound socket. One that does not listen keeps the port for us while connections are refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Proxy(ThreadingHTTPServer):
    """The listener and the connections that it has taken."""

    daemon_threads = False  # so that closing waits for them

    def __init__(self, port: int, target: str, plan: Plan) -> None:
        super().__init__(("127.0.0.1", port), _Exchange, bind_and_activate=False)
        self.socket.close()
        self.socket = _socket(port)
        self.server_activate()
        self.target, self.plan, self.ending = urlsplit(target).netloc, plan, threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._loop = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._loop.start()

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:  # type: ignore[no-untyped-def]
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Close the listener and all connections; wait for those that serve them."""
        self.ending.set()
        self.shutdown()
        self._loop.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Exchange(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body waited 40 ms for the headers to be acknowledged
    server: _Proxy

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *arguments: object) -> None:
        """Be quiet: `seen` is the record."""

    def _exchange(self) -> None:
        fault = self.server.plan.next(self.command, self.path)
        try:
            self._answer(fault, self._body())
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _exchange  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, fault: Fault | None, sent: bytes) -> None:
        """Do what the fault says. The record comes first: whoever has an answer finds it in `seen`."""
        breaks = isinstance(fault, Unasked | Unanswered | Cut)
        status, headers, body = _refusal(fault) if isinstance(fault, Answer) else (0, [], b"")
        if not isinstance(fault, Answer | Unasked):
            status, headers, body = self._forward(sent)
        self.server.plan.record(Seen(self.command, self.path, fault, None if breaks else status))
        if isinstance(fault, Late):
            self.server.ending.wait(fault.seconds)
        if isinstance(fault, Flip):
            body = _flipped(body, fault.position)
        if not isinstance(fault, Unasked | Unanswered):
            self._send(status, headers, body, stop=len(body) // 2 if breaks else None)
        if breaks:
            self._break()

    def _forward(self, sent: bytes) -> Reply:
        connection = http.client.HTTPConnection(self.server.target, timeout=240)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _end_to_end(self.headers.items()):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(sent)))
            connection.endheaders(sent)
            answer = connection.getresponse()
            headers = _end_to_end(answer.getheaders())
            if self.command == "HEAD" and answer.getheader("Content-Length"):
                headers.append(("Content-Length", answer.headers["Content-Length"]))
            return answer.status, headers, answer.read()
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, stop: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and status not in NO_BODY:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:stop])

    def _break(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def _refusal(fault: Answer) -> Reply:
    error = {"error_code": "INJECTED", "message": f"a test answers {fault.status}"}
    return fault.status, [("Content-Type", "application/json")], json.dumps(error).encode()


def _end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP]


def _flipped(body: bytes, position: int) -> bytes:
    changed = bytearray(body)
    changed[position] ^= 1
    return bytes(changed)
