"""Each fault does what its name says, to the requests it was told for and to no others."""

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from backends.faults import Answer, Cut, Flip, Late, Seen, Unanswered, Unasked
from backends.proxy import Faults, faults

BODY = b"0123456789" * 50


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent, or with BODY; remembers who asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    """Paths of the requests that reached the server."""
    return []


@pytest.fixture
def proxy(asked: list[str]) -> Iterator[Faults]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Echo,), {"asked": asked}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    with faults(f"http://127.0.0.1:{server.server_port}") as found:
        yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def web(proxy: Faults) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=60) as client:
        yield client


def test_without_a_fault_nothing_is_changed(proxy: Faults, web: httpx.Client) -> None:
    assert web.get("/a?b=c%20d").content == BODY
    assert web.put("/a", content=b"sent").content == b"sent"
    assert web.put("/a", content=iter([b"in ", b"chunks"])).content == b"in chunks"
    assert web.head("/a").headers["content-length"] == str(len(BODY))
    assert [(one.method, one.path, one.fault, one.status) for one in proxy.seen] == [
        ("GET", "/a?b=c%20d", None, 200),
        ("PUT", "/a", None, 200),
        ("PUT", "/a", None, 200),
        ("HEAD", "/a", None, 200),
    ]


def test_the_second_matching_request_fails_and_no_other(proxy: Faults, web: httpx.Client, asked: list[str]) -> None:
    proxy.when(Answer(500), path="^/alias", method="POST", first=2)
    paths = ("/alias", "/other", "/alias", "/alias")
    assert [web.post(path, content=b"x").status_code for path in paths] == [200, 200, 500, 200]
    assert web.get("/alias").status_code == 200
    assert asked == ["/alias", "/other", "/alias", "/alias"]


def test_a_token_expires_in_the_middle(proxy: Faults, web: httpx.Client, asked: list[str]) -> None:
    proxy.when(Answer(401), first=3, times=None)
    assert [web.get("/a").status_code for _ in range(5)] == [200, 200, 401, 401, 401]
    assert len(asked) == 2


def test_a_late_answer_is_late_although_the_work_is_done(proxy: Faults, web: httpx.Client, asked: list[str]) -> None:
    proxy.when(Late(60))
    with pytest.raises(httpx.ReadTimeout):
        web.get("/a", timeout=0.2)
    assert asked == ["/a"]
    before = time.monotonic()
    proxy.refuse()
    assert time.monotonic() - before < 30, "nobody waits for a late answer when the proxy ends"


def test_a_cut_body_is_seen_as_cut(proxy: Faults, web: httpx.Client) -> None:
    proxy.when(Cut())
    with pytest.raises(httpx.RemoteProtocolError, match="250"):
        web.get("/a")
    assert web.get("/a").content == BODY
    assert [one.status for one in proxy.seen] == [None, 200]


@pytest.mark.parametrize("position", [0, 7, -1])
def test_one_bit_is_flipped_and_the_length_stays(proxy: Faults, web: httpx.Client, position: int) -> None:
    proxy.when(Flip(position))
    changed = web.get("/a").content
    different = [place for place in range(len(BODY)) if changed[place] != BODY[place]]
    assert different == [position % len(BODY)]
    assert len(changed) == len(BODY)


def test_a_write_happens_although_its_answer_is_lost(proxy: Faults, web: httpx.Client, asked: list[str]) -> None:
    proxy.when(Unanswered())
    with pytest.raises(httpx.RemoteProtocolError):
        web.post("/a", content=b"x")
    assert asked == ["/a"]


def test_a_request_that_breaks_before_the_server_does_not_happen(
    proxy: Faults, web: httpx.Client, asked: list[str]
) -> None:
    proxy.when(Unasked())
    with pytest.raises(httpx.RemoteProtocolError):
        web.post("/a", content=b"x")
    assert asked == []
    assert proxy.seen == (Seen("POST", "/a", Unasked(), None),)


def test_connections_are_refused_until_accepted_at_the_same_address(proxy: Faults, web: httpx.Client) -> None:
    port = int(proxy.url.rsplit(":", 1)[1])
    held = http.client.HTTPConnection("127.0.0.1", port)
    held.request("GET", "/a")
    assert held.getresponse().read() == BODY
    proxy.refuse()
    with pytest.raises(httpx.ConnectError):
        web.get("/a")
    with pytest.raises(ConnectionError):  # noqa: PT012
        held.request("GET", "/a")
        held.getresponse()
    held.close()
    proxy.accept()
    assert web.get("/a").content == BODY


def test_cleared_faults_and_requests_are_forgotten(proxy: Faults, web: httpx.Client) -> None:
    proxy.when(Answer(500), times=None)
    assert web.get("/a").status_code == 500
    proxy.clear()
    assert web.get("/a").status_code == 200
    assert len(proxy.seen) == 1


def test_many_at_once_are_each_counted(proxy: Faults) -> None:
    proxy.when(Answer(500), first=5, times=3)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(httpx.get(proxy.url).status_code)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 9 + [500] * 3
