"""A project folder to ingest into, a web server that misbehaves on request, and real data where there is a mirror."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wattline import files
from wattline.errors import WattlineError
from wattline.params import IngestParams
from wattline.settings import Settings, settings
from wattline.sources import fetch
from wattline.stages import ingest

SMALL = {"nodes": 2, "nodes_per_rack": 1, "days": 0.5}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project folder that is also the working directory; no mirror, no waiting between attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATTLINE_DATA_MIRROR", raising=False)
    monkeypatch.delenv("WATTLINE_STATE", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(fetch, "BACKOFF_SECONDS", 0.0)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def use_mirror(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    def use(folder: Path) -> None:
        monkeypatch.setenv("WATTLINE_DATA_MIRROR", str(folder))
        settings.cache_clear()

    return use


REAL = Settings()
"""The environment as the tests were started with."""


@pytest.fixture
def real_data(use_mirror: Callable[[Path], None]) -> Path:
    """The configured mirror of real datasets. Without one: skipped by name, and a failure in CI."""
    if REAL.data_mirror is None:
        reason = "WATTLINE_DATA_MIRROR is not set: what is promised of the real datasets is not checked"
        if REAL.ci:
            pytest.fail(reason)
        pytest.skip(reason)
    use_mirror(REAL.data_mirror)
    return REAL.data_mirror


def run(source: str, *, seed: int = 7, **options: object) -> None:
    ingest.run(ingest=IngestParams(source=source, options={source: options}), seed=seed)


Refused = Callable[..., str]


@pytest.fixture
def refused(project: Path) -> Refused:
    """Ingests, expects one sentence with all `words`, and what an earlier ingest wrote still there, whole and alone."""
    run("simulator", **SMALL)
    before = files.digests(Path("data")) | files.digests(Path("reports"))

    def expect(source: str, *words: str, **options: object) -> str:
        with pytest.raises(WattlineError) as caught:
            run(source, **options)
        message = str(caught.value)
        for word in words:
            assert word in message
        assert "\n" not in message
        after = files.digests(Path("data")) | files.digests(Path("reports"))
        assert {name: digest for name, digest in after.items() if name != "checksums.json"} == before
        assert not [path for path in Path("data").iterdir() if path.name.startswith(".")]
        return message

    return expect


@dataclass
class Web:
    """A web server on a free loopback port.

    files: path -> content
    faults: path -> what to do instead, one for each request: a status, or "truncate"
    requests: paths in the order they were asked for
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    server.web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.web
    server.shutdown()
    thread.join()
    server.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        web = self.server.web
        path = self.path.removeprefix("/")
        web.requests.append(path)
        faults = web.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        if isinstance(fault, int) or path not in web.files:
            self.send_error(fault or 404)
            return
        content = web.files[path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "truncate" else content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
