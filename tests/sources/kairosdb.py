"""A database that answers as KairosDB's REST API is documented, over real sockets, and misbehaves on request."""

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WINDOW = {"seconds": 1_000, "minutes": 60_000}
Change = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Point:
    """One sample with its tags; instant in milliseconds since 1970."""

    name: str
    instant: Any
    value: Any
    tags: Mapping[str, str]


@dataclass
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class KairosDB:
    """address: where it listens
    points: what it holds, in the order in which they were written
    faults: what happens to the next answers, one each: a status, "cut", "half", "hang", or a body
    change: what becomes of every answer with samples
    login: user:password that it wants
    grafana: name of the data source, where Grafana stands before it
    asked: the requests so far
    """

    address: str = ""
    points: list[Point] = field(default_factory=list)
    faults: list[Any] = field(default_factory=list)
    change: Change | None = None
    login: str | None = None
    grafana: str | None = None
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, node: str | None, *samples: tuple[Any, Any], **tags: str) -> None:
        told = {"cluster": "marconi100", "plugin": "ipmi_pub", **({"node": node} if node else {}), **tags}
        self.points += [Point(name, instant, value, told) for instant, value in samples]

    @property
    def queries(self) -> list[dict[str, Any]]:
        """Questions for samples."""
        return [asked.query for asked in self.asked if asked.path.endswith("datapoints/query")]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Status and content."""
        path = asked.path
        if self.grafana is not None:
            if path == f"/api/datasources/id/{self.grafana}":
                return 200, {"id": 7}
            if not path.startswith("/api/datasources/proxy/7/"):
                return 404, {"message": "Data source not found"}
            path = path.removeprefix("/api/datasources/proxy/7")
        match path:
            case "/api/v1/metricnames":
                return 200, {"results": sorted({point.name for point in self.points})}
            case "/api/v1/datapoints/query/tags":
                return 200, {"queries": [{"results": [self._tags(*found)]} for found in self._found(asked.query)]}
            case "/api/v1/datapoints/query":
                content = {"queries": [self._samples(*found) for found in self._found(asked.query)]}
                return 200, self.change(content) if self.change else content
        return 404, {"errors": [f"no such path {path}"]}

    def _found(self, query: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Point]]]:
        start, end = query["start_absolute"], query["end_absolute"]
        for metric in query["metrics"]:
            found = [
                point
                for point in self.points
                if point.name == metric["name"]
                and (not isinstance(point.instant, int) or start <= point.instant <= end or point.instant < 1e11)
                and all(point.tags.get(tag) in values for tag, values in metric["tags"].items())
            ]
            yield metric, found[: metric.get("limit")]

    def _tags(self, metric: dict[str, Any], points: list[Point]) -> dict[str, Any]:
        return {"name": metric["name"], "tags": tags_of(points)}

    def _samples(self, metric: dict[str, Any], points: list[Point]) -> dict[str, Any]:
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(point.tags["node"], []).append(point)
        results = [
            {
                "name": metric["name"],
                "group_by": [
                    {"name": "tag", "tags": ["node"], "group": {"node": node}},
                    {"name": "type", "type": "number"},
                ],
                "tags": tags_of(found),
                "values": averaged(metric, [[point.instant, point.value] for point in found]),
            }
            for node, found in groups.items()
        ]
        return {
            "sample_size": len(points),
            "results": results or [{"name": metric["name"], "tags": {}, "values": []}],
        }


def tags_of(points: list[Point]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for point in points:
        for tag, value in point.tags.items():
            found.setdefault(tag, {})[value] = None
    return {tag: list(values) for tag, values in found.items()}


def averaged(metric: dict[str, Any], values: list[list[Any]]) -> list[list[Any]]:
    """As the `avg` aggregator does: a window is stamped with its first sample."""
    for aggregator in metric.get("aggregators", ()):
        assert aggregator["name"] == "avg"
        window = aggregator["sampling"]["value"] * WINDOW[aggregator["sampling"]["unit"]]
        parts: dict[int, list[list[Any]]] = {}
        for pair in sorted(values):
            parts.setdefault(pair[0] // window, []).append(pair)
        values = [[part[0][0], sum(value for _, value in part) / len(part)] for part in parts.values()]
    return values


@contextmanager
def running() -> Iterator[KairosDB]:
    """A database on a free port of 127.0.0.1."""
    database = KairosDB()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers), body)
            database.asked.append(asked)
            fault = database.faults.pop(0) if database.faults else None
            if fault == "hang":
                database.over.wait(30)
                return
            status, content = self._content(asked, fault)
            self.send_response(status)
            if "gzip" in self.headers.get("Accept-Encoding", "") and not isinstance(fault, bytes):
                content = gzip.compress(content)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content)))
            if status in (301, 302):
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

        def _content(self, asked: Asked, fault: Any) -> tuple[int, bytes]:
            if isinstance(fault, bytes):
                return 200, fault
            if isinstance(fault, int):
                return fault, json.dumps({"errors": ["as the test wants it"]}).encode()
            login = database.login and f"Basic {base64.b64encode(database.login.encode()).decode()}"
            if login and self.headers.get("Authorization") != login:
                return 401, json.dumps({"message": "Unauthorized"}).encode()
            status, content = database.answer(asked)
            body = json.dumps(content).encode()
            return status, body[: len(body) // 2] if fault == "half" else body

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """Say nothing of those who hang up."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    database.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield database
    finally:
        database.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
