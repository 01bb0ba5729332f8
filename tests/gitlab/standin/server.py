"""The server of the stand-in: finds the route, checks the token, injects faults."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from gitlab.standin import merge_requests, mlflow, packages, pipelines, project, tokens
from gitlab.standin.calls import ROUTES, Answer, Call, RefusedError, Route
from gitlab.standin.state import PROJECT, State
from gitlab.standin.tokens import TRIGGER, Token

MOUNTED = (merge_requests, packages, pipelines, project)
"""Modules whose routes are served; to import them is to mount them."""
OPEN = "trigger/pipeline"
"""Its token is in the body."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece: in two, the second waits for the client's acknowledgement
    server: "Server"

    def do_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if len(content) < length:
            self.close_connection = True  # who sent it is gone: GitLab keeps nothing of it
            return
        with self.server.lock:
            self._answer(content)
            if self.server.file:
                self.server.state.save(self.server.file)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_any  # noqa: N815

    def _answer(self, content: bytes) -> None:
        state, parts = self.server.state, urlsplit(self.path)
        if parts.path.startswith("/storage/"):
            state.seen_by_storage.append(tokens.given(self.headers) or None)
            if parts.path.startswith("/storage/generic/"):
                return self._reply(Answer(200, state.packages[parts.path.removeprefix("/storage/generic/")]))
            return self._reply(Answer(200, state.get_file(*parts.path.removeprefix("/storage/").split("/", 1))))
        place = self._place(parts.path)
        state.calls.append((self.command, place))
        fault, late = state.fault(self.command, place, late=False), None
        if fault:
            answer = Answer(fault.status or 0, fault.body, fault.headers)
        else:
            try:
                answer = self._done(place, parts.query, content)
            except RefusedError as refusal:
                answer = Answer(refusal.status, refusal.body)
            late = state.fault(self.command, place, late=True)
        if late:
            answer = Answer(late.status or 0, late.body, late.headers)
        if not answer.status:
            self.close_connection = True
            return None
        return self._reply(answer)

    def _place(self, path: str) -> str:
        """The path below the project, or all of it where it is none of the project's."""
        for name in (PROJECT, quote(self.server.state.project["path_with_namespace"], safe="")):
            root = f"/api/v4/projects/{name}"
            if path.rstrip("/") == root or path.startswith(f"{root}/"):
                return path.removeprefix(root).strip("/")
        return path

    def _done(self, place: str, query: str, content: bytes) -> Answer:
        given = {name: values[0] for name, values in parse_qs(query).items()}
        registry = mlflow.answered(self, place, given, content)
        if registry is not None:
            return registry
        route, named = self._route(place)
        token = self._token(route, place)
        kind = self.headers.get("Content-Type", "")
        return route.function(self.server.state, Call(named, given, content, kind, token, self.headers.get("Host", "")))

    def _route(self, place: str) -> tuple[Route, dict[str, str]]:
        for one in ROUTES:
            found = one.pattern.fullmatch(place)
            if found and one.method == self.command:
                return one, found.groupdict()
        if self.token is None:
            raise RefusedError(401, {"message": "401 Unauthorized"})
        if place.startswith("/api/v4/projects/"):
            raise RefusedError(404, {"message": "404 Project Not Found"})
        self.server.state.unmounted.append(f"{self.command} {place}")
        raise RefusedError(404, {"error": "404 Not Found"})

    @property
    def token(self) -> Token | None:
        """Whom the request says it is from; None where that token opens nothing."""
        found = self.server.state.tokens.get(tokens.given(self.headers))
        return found if found and found.active else None

    def _token(self, route: Route, place: str) -> Token:
        if place == OPEN:
            return Token(user=0, name=TRIGGER, role=0)
        token = self.token
        if token is None or (token.job and not route.job):
            raise RefusedError(401, {"message": "401 Unauthorized"})
        enough = ("api", "read_api") if self.command == "GET" else ("api",)
        if not token.job and not set(enough) & set(token.scopes):
            said = "The request requires higher privileges than provided by the access token."
            raise RefusedError(
                403, {"error": "insufficient_scope", "error_description": said, "scope": " ".join(enough)}
            )
        if token.role < tokens.GUEST_ROLE:
            raise RefusedError(404, {"message": "404 Project Not Found"})
        if token.role < route.role:
            raise RefusedError(403, {"message": "403 Forbidden"})
        return token

    def _reply(self, answer: Answer) -> None:
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        kind = {} if isinstance(answer.body, bytes) else {"Content-Type": "application/json"}
        for name, value in (kind | answer.headers).items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves on a loopback port.

    root: address of the API, as CI_API_V4_URL; address: that of the project in it
    file: where the state is kept for other processes
    """

    daemon_threads = True

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0, file: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state, self.lock, self.file = State(), threading.Lock(), file
        self.root = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}/api/v4"
        self.address = f"{self.root}/projects/{PROJECT}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def running(*, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve until the block ends."""
    with Server(tls=tls) as server, serving(server):
        yield server


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Let a server answer in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
