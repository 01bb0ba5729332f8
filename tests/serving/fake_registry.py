"""A tracking server as small as a test needs it, which misbehaves on demand."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from wattline import files, signing
from wattline.records import Candidate
from wattline.signing import entry as entries

SIGNED = (signing.FILE, entries.FILE)
Answer = tuple[int, bytes]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Registry(ThreadingHTTPServer):
    """What it knows may be changed while it runs.

    aliases: alias -> version; models: version -> what MLflow says of it; runs: run -> its artifact_uri
    artifacts: path -> content
    asked: paths in order, with their headers; misbehave: answers a request itself by returning True
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.aliases: dict[str, str] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, str] = {}
        self.artifacts: dict[str, bytes] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.misbehave: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def publish(self, folder: Path, version: str, *, alias: str = "champion", signer: str = "f" * 64) -> None:
        """Offer what `wattline champion` left in `folder` as a version."""
        candidate = files.read_record(folder / "candidate.json", Candidate)
        run = f"run{version}"
        self.runs[run] = f"mlflow-artifacts:/1/{run}/artifacts"
        for path in folder.iterdir():
            place = f"statements/{version}" if path.name in SIGNED else "candidate"
            self.artifacts[f"1/{run}/artifacts/{place}/{path.name}"] = path.read_bytes()
        tags = {"wattline.candidate": candidate.digest} | ({"wattline.key": signer} if signer else {})
        if (folder / entries.FILE).exists():
            tags["wattline.promotion"] = str(entries.peek((folder / entries.FILE).read_bytes()).sequence)
        self.models[version] = {
            "version": version,
            "run_id": run,
            "tags": [{"key": name, "value": value} for name, value in tags.items()],
        }
        self.aliases[alias] = version

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        if path.startswith(ARTIFACTS):
            content = self.artifacts.get(unquote(path.removeprefix(ARTIFACTS)))
            return (404, b"") if content is None else (200, content)
        if path.endswith("/registered-models/alias"):
            if query["alias"] not in self.aliases:
                return 400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "alias not found"}).encode()
            return 200, json.dumps({"model_version": self.models[self.aliases[query["alias"]]]}).encode()
        return 200, json.dumps({"run": {"info": {"artifact_uri": self.runs[query["run_id"]]}}}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        if self.server.misbehave(self):
            return
        parts = urlsplit(self.path)
        status, content = self.server.answer(parts.path, {name: one[0] for name, one in parse_qs(parts.query).items()})
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Registry]:
    """A server on a free port of loopback, without anything in it."""
    with Registry() as registry:
        thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            registry.shutdown()
            thread.join()
