"""A server that misbehaves costs a bounded time, a bounded size, and no credential."""

import base64
import gzip
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from serving import fake_registry
from serving.fake_registry import ARTIFACTS, Registry
from wattline.serving import web
from wattline.serving.versions.loading import LoadError
from wattline.serving.web import Credentials, Web, is_address

FILE = ARTIFACTS.removeprefix("/") + "1/file"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_SECONDS", 0.001)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with fake_registry.running() as server:
        server.artifacts["1/file"] = b"content"
        yield server


@pytest.fixture
def client(registry: Registry) -> Iterator[Web]:
    found = Web(registry.uri, Credentials())
    yield found
    found.close()


def failing(times: int, how: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Misbehave so many times, then behave."""
    left = [times]

    def misbehave(handler: BaseHTTPRequestHandler) -> bool:
        left[0] -= 1
        if left[0] < 0:
            return False
        how(handler)
        return True

    return misbehave


def status(code: int, content: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def truncated(handler: BaseHTTPRequestHandler) -> None:
    status(200, b"con", Content_Length="7")(handler)


FAILURES = [hang_up, truncated, status(500), status(503), status(429), status(408)]


@pytest.mark.parametrize("how", FAILURES)
def test_what_passes_is_tried_again(registry: Registry, client: Web, tmp_path: Path, how: Any):
    registry.misbehave = failing(2, how)
    assert client.download(FILE, tmp_path / "file", limit=7) == 200
    assert (tmp_path / "file").read_bytes() == b"content"
    assert len(registry.asked) == 3


@pytest.mark.parametrize("how", FAILURES)
def test_what_does_not_pass_is_given_up(registry: Registry, client: Web, tmp_path: Path, how: Any):
    registry.misbehave = failing(99, how)
    with pytest.raises(LoadError, match=f"{registry.uri} did not answer") as caught:
        client.download(FILE, tmp_path / "file", limit=7)
    assert caught.value.reason == "unreachable"
    assert len(registry.asked) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 301, 302])
def test_a_refusal_is_not_tried_again_and_a_redirect_is_not_followed(
    registry: Registry, client: Web, tmp_path: Path, code: int
):
    registry.misbehave = failing(99, status(code, b"no", Location=f"{registry.uri}/{FILE}"))
    assert client.download(FILE, tmp_path / "file", limit=7) == code
    assert client.json("call", {}) == (code, {})
    assert len(registry.asked) == 2
    assert not (tmp_path / "file").exists()


def test_a_server_that_nobody_runs_is_unreachable(tmp_path: Path):
    client = Web("http://127.0.0.1:9", Credentials())
    with pytest.raises(LoadError, match=r"http://127\.0\.0\.1:9 did not answer"):
        client.json("call", {})


def test_a_silent_server_is_given_up(registry: Registry, client: Web, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(web, "ATTEMPTS", 2)
    done = []

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.settimeout(30)
        done.append(handler.rfile.read(1))  # until the caller hangs up

    registry.misbehave = failing(99, silent)
    with pytest.raises(LoadError) as caught:
        client.json("call", {})
    assert caught.value.reason == "unreachable"


def test_an_answer_that_drips_is_given_up(registry: Registry, client: Web, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(web, "ANSWER_SECONDS", 0.05)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 1000)
        except OSError:
            handler.close_connection = True

    registry.misbehave = failing(99, drip)
    with pytest.raises(LoadError, match="took longer"):
        client.download(FILE, tmp_path / "file", limit=10**12)


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_limit_is_not_taken(registry: Registry, client: Web, tmp_path: Path, announced: bool):
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(10**15))
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 100_000)
        except OSError:
            handler.close_connection = True

    registry.misbehave = failing(99, endless)
    for use in (lambda: client.download(FILE, tmp_path / "file", limit=10**6), lambda: client.json("call", {})):
        with pytest.raises(LoadError, match="has more than") as caught:
            use()
        assert caught.value.reason == "digest"
    assert (tmp_path / "file").stat().st_size <= 10**6
    assert len(registry.asked) == 2


def test_a_compressed_bomb_counts_by_what_it_becomes(registry: Registry, client: Web, tmp_path: Path):
    bomb = gzip.compress(bytes(50_000_000))
    registry.misbehave = failing(99, status(200, bomb, Content_Encoding="gzip"))
    with pytest.raises(LoadError, match="has more than 1000000 bytes"):
        client.download(FILE, tmp_path / "file", limit=10**6)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b"{", b"\xff"])
def test_what_is_no_json_object_is_an_empty_one(registry: Registry, client: Web, content: bytes):
    registry.misbehave = failing(99, status(200, content))
    assert client.json("call", {"name": "a b&c"}) == (200, {})
    assert registry.paths() == ["/call?name=a+b%26c"]


BASIC = "Basic " + base64.b64encode(b"name:p@ss/word").decode()


@pytest.mark.parametrize(
    ("inside", "given", "expected"),
    [
        ("", Credentials(), None),
        ("", Credentials("name", "p@ss/word"), BASIC),
        ("", Credentials(token="secret"), "Bearer secret"),
        ("", Credentials("name", "p@ss/word", "secret"), "Bearer secret"),
        ("name:p%40ss%2Fword@", Credentials(), BASIC),
        ("other:one@", Credentials("name", "p@ss/word"), BASIC),
    ],
)
def test_who_asks_is_said_in_a_header(registry: Registry, inside: str, given: Credentials, expected: str | None):
    registry.misbehave = failing(99, status(200, b"{}"))
    client = Web(registry.uri.replace("//", f"//{inside}"), given)
    client.json("call", {})
    client.close()
    assert registry.asked[0][1].get("Authorization") == expected
    assert "@" not in client.place


@pytest.mark.parametrize("how", [hang_up, status(500)])
def test_no_credential_gets_into_a_message(registry: Registry, how: Any):
    registry.misbehave = failing(99, how)
    credentials = Credentials("somebody", "password1", "token1")
    client = Web(registry.uri.replace("//", "//someone:password2@"), credentials)
    with pytest.raises(LoadError) as caught:
        client.json("call", {})
    client.close()
    for secret in ("password1", "password2", "token1", "someone"):
        assert secret not in f"{caught.value} {credentials!r}"


@pytest.mark.parametrize(
    "text", ["", "sqlite:///mlflow.db", "ftp://host", "http://", "host:5000", "http://[::1", "http://host:99999"]
)
def test_what_is_no_http_address_is_none(text: str):
    assert not is_address(text)


@pytest.mark.parametrize("text", ["http://host", "https://name:secret@host:5000/mlflow", "http://[::1]:5000"])
def test_an_http_address_is_one(text: str):
    assert is_address(text)
