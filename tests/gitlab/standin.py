"""GitLab's model registry as small as a test needs it: the routes that GitLab mounts, its limits and its tokens.

After lib/api/ml/mlflow, lib/api/ml/mlflow_artifacts and lib/api/ml_model_packages.rb of GitLab. It knows no aliases
but the SemVer, no search of versions, no tags on models and no logged models; a call to a route that GitLab does not
mount is answered with 404 and recorded in `unmounted`.
"""

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

API, READER, GUEST, JOB = "glpat-of-a-developer", "glpat-that-reads", "glpat-of-a-guest", "job-token"
PROJECT = "42"
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
FILE_NAME = re.compile(r"[A-Za-z0-9._+ -]+")
ABSENT = {"error_code": "RESOURCE_DOES_NOT_EXIST"}
Json = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Fault:
    """Answer `status` instead of doing what is asked, or after it was done where `late`; None cuts the connection."""

    route: str
    status: int | None
    times: int = 1
    late: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)


class State:
    """What GitLab holds for one project, and what was asked of it."""

    def __init__(self) -> None:
        self.models: dict[str, Json] = {}
        self.versions: list[Json] = []
        self.runs: dict[str, Json] = {}
        self.files: list[tuple[str, str, bytes]] = []
        self.calls: list[tuple[str, str]] = []
        self.unmounted: list[str] = []
        self.faults: list[Fault] = []
        self.object_storage = False
        self.seen_by_storage: list[str | None] = []

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def contents(self, version: str = "1") -> dict[str, bytes]:
        """Path -> bytes of a version's files; each is there once."""
        found = [(unquote(name), content) for owner, name, content in self.files if owner == version]
        assert len(found) == len(dict(found)), "a file is there twice"
        return dict(found)

    def fault(self, route: str, *, late: bool) -> Fault | None:
        for one in self.faults:
            if one.times and one.late is late and re.search(one.route, route):
                one.times -= 1
                return one
        return None

    # ---- the MLflow endpoint ----------------------------------------------------------------------------------------

    def get_model(self, query: Json) -> Json:
        return {"registered_model": self._model(query["name"])}

    def create_model(self, body: Json) -> Json:
        if body["name"] in self.models or not re.fullmatch(r"[\w.@/+-]+", body["name"]):
            raise RefusedError(400, {"error_code": "RESOURCE_ALREADY_EXISTS"})
        self.models[body["name"]] = {"name": body["name"], "description": body.get("description", ""), "tags": []}
        return self.get_model(body)

    def update_model(self, body: Json) -> Json:
        self._model(body["name"])["description"] = body["description"]
        return self.get_model(body)

    def get_by_alias(self, query: Json) -> Json:
        for one in self.versions:
            if (one["name"], one["aliases"]) == (query["name"], [query["alias"]]):
                return {"model_version": one}
        raise RefusedError(404, ABSENT)

    def create_version(self, body: Json) -> Json:
        self._model(body["name"])
        tags = {tag["key"]: tag["value"] for tag in body.get("tags", [])}
        number = tags.get("gitlab.version", "1.0.0")
        problem = (
            "Version must be semantic version"
            if not SEMVER.fullmatch(number)
            else "Version has already been taken"
            if any((one["name"], one["aliases"]) == (body["name"], [number]) for one in self.versions)
            else "Validation failed: Value can't be blank or too long"
            if not all(0 < len(value) <= 5000 and 0 < len(key) <= 255 for key, value in tags.items())
            else ""
        )
        if problem:
            raise RefusedError(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": problem})
        version, run = str(len(self.versions) + 1), f"run-{len(self.versions) + 1}"
        self.runs[run] = {"info": {"run_id": run, "status": "RUNNING"}, "data": {"metrics": [], "params": []}}
        made = {"name": body["name"], "version": version, "run_id": run, "aliases": [number], "tags": body["tags"]}
        self.versions.append(made | {"description": body.get("description", "")})
        return {"model_version": self.versions[-1]}

    def get_run(self, query: Json) -> Json:
        return {"run": self._run(query)}

    def log_batch(self, body: Json) -> Json:
        data = self._run(body)["data"]
        for row in body.get("params", []):
            if not 0 < len(row["value"]) <= 250:
                raise RefusedError(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "value too long"})
            if row["key"] not in {one["key"] for one in data["params"]}:
                data["params"].append(row)
        data["metrics"] += body.get("metrics", [])  # GitLab keeps each, also one that is there
        return {}

    def update_run(self, body: Json) -> Json:
        self._run(body)["info"]["status"] = body["status"]
        return {"run_info": self._run(body)["info"]}

    def list_files(self, query: Json) -> Json:
        if not any(one["version"] == query["path"] for one in self.versions):
            raise RefusedError(404, ABSENT)
        owned = [(name, content) for owner, name, content in self.files if owner == query["path"]]
        return {"files": [{"path": name, "is_dir": False, "file_size": len(content)} for name, content in owned]}

    # ---- the package of a version -----------------------------------------------------------------------------------

    def put_file(self, version: str, path: str, content: bytes) -> Json:
        if not any(one["version"] == version for one in self.versions):
            raise RefusedError(404, {"message": "404 Not Found"})
        if not FILE_NAME.fullmatch(path.rpartition("/")[2]):
            raise RefusedError(400, {"error": "file_name is invalid"})
        self.files.append((version, quote(path, safe=""), content))  # also where one of that name is there
        return {"message": "201 Created"}

    def get_file(self, version: str, path: str) -> bytes:
        found = [content for owner, name, content in self.files if (owner, name) == (version, quote(path, safe=""))]
        if not found:
            raise RefusedError(404, {"message": "404 Not Found"})
        return found[-1]

    def _model(self, name: str) -> Json:
        if name not in self.models:
            raise RefusedError(404, ABSENT)
        return self.models[name]

    def _run(self, body: Json) -> Json:
        if body["run_id"] not in self.runs:
            raise RefusedError(404, ABSENT)
        return self.runs[body["run_id"]]


MOUNTED: dict[tuple[str, str], Callable[[State, Json], Json]] = {
    ("GET", "mlflow/registered-models/get"): State.get_model,
    ("POST", "mlflow/registered-models/create"): State.create_model,
    ("PATCH", "mlflow/registered-models/update"): State.update_model,
    ("GET", "mlflow/registered-models/alias"): State.get_by_alias,
    ("POST", "mlflow/model-versions/create"): State.create_version,
    ("GET", "mlflow/runs/get"): State.get_run,
    ("POST", "mlflow/runs/log-batch"): State.log_batch,
    ("POST", "mlflow/runs/update"): State.update_run,
    ("GET", "mlflow-artifacts/artifacts"): State.list_files,
}
PACKAGE = re.compile(r"packages/ml_models/([0-9]+)/files/(.+)")


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

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815

    def _answer(self, content: bytes) -> None:
        state, parts = self.server.state, urlsplit(self.path)
        if parts.path.startswith("/storage/"):
            state.seen_by_storage.append(self.headers.get("Authorization"))
            return self._reply(200, state.get_file(*parts.path.removeprefix("/storage/").split("/", 1)))
        route = parts.path.removeprefix(f"/api/v4/projects/{PROJECT}/")
        state.calls.append((self.command, route))
        fault = state.fault(route, late=False)
        headers: dict[str, str] = {}
        try:
            status, body = (fault.status, fault.body) if fault else self._done(route, parts.query, content)
        except RefusedError as refusal:
            status, body = refusal.status, refusal.body
        late = None if fault else state.fault(route, late=True)
        if late:
            status, body = late.status, late.body
        headers = (fault or late or Fault("", None)).headers
        if status == 302:
            headers = {"Location": f"http://localhost:{self.server.server_port}/storage/{body}"}
        if status is None:
            self.close_connection = True
            return None
        return self._reply(status, body, headers)

    def _done(self, route: str, query: str, content: bytes) -> tuple[int, Any]:
        package = PACKAGE.fullmatch(route)
        self._check_token(package=bool(package))
        if route.startswith("/"):
            raise RefusedError(404, {"message": "404 Project Not Found"})
        if package and self.command == "PUT":
            return 201, self.server.state.put_file(package[1], unquote(package[2]), content)
        if package and self.command == "GET":
            if self.server.state.object_storage:
                return 302, f"{package[1]}/{unquote(package[2])}"
            return 200, self.server.state.get_file(package[1], unquote(package[2]))
        handler = MOUNTED.get((self.command, route.removeprefix("ml/mlflow/api/2.0/")))
        if handler is None:
            self.server.state.unmounted.append(f"{self.command} {route}")
            raise RefusedError(404, {"error": "404 Not Found"})
        given = {name: values[0] for name, values in parse_qs(query).items()}
        return 200, handler(self.server.state, given if self.command == "GET" else json.loads(content))

    def _check_token(self, *, package: bool) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (API, READER, GUEST, JOB) or (token == JOB and not package):
            raise RefusedError(401, {"message": "401 Unauthorized"})
        if token == READER and self.command != "GET":
            raise RefusedError(403, {"error": "insufficient_scope", "scope": "api"})
        if token == GUEST and self.command != "GET":
            raise RefusedError(401, {"message": "401 Unauthorized"})

    def _reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state, self.lock = State(), threading.Lock()
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}/api/v4/projects/{PROJECT}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def running(*, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve until the block ends."""
    with Server(tls=tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
