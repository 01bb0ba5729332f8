"""Every server that is measured beside ours: how it is started, and how it is asked."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from servers.environments import PEERS
from servers.process import free_port

Command = list[str | Path]


@dataclass(frozen=True)
class Route:
    """How a server is asked.

    form: of the body, one of payloads.FORMATS
    """

    form: str
    path: str


@dataclass(frozen=True)
class Place:
    """Where a server is started.

    python: of its environment
    scratch: a folder of its own
    """

    python: Path
    port: int
    scratch: Path

    def program(self, name: str) -> Path:
        """A program of its environment."""
        return self.python.parent / name


@dataclass(frozen=True)
class Peer:
    """A server beside ours.

    rows: name of a row of the table -> how that is asked
    ready: a path that answers 200 once it can be asked
    product: whether it is made to serve models, not a sketch of one's own
    quick: whether it is measured with --quick
    setup: what is run once, before the first start
    """

    name: str
    rows: Mapping[str, Route]
    ready: str
    command: Callable[[Place], Command]
    product: bool = True
    quick: bool = False
    setup: Callable[[Place], Command] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "BENTOML_DO_NOT_TRACK": "True"}
SINGLE = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


def script(place: Place) -> Command:
    """An app.py that takes its port."""
    return [place.python, "app.py", str(place.port)]


def uvicorn(place: Place) -> Command:
    """An ASGI application in app.py; uvicorn takes uvloop and httptools where they are installed."""
    listen: Command = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [place.python, "-m", "uvicorn", "app:app", *listen, "--no-access-log", "--log-level", "warning"]


def bentoml(place: Place) -> Command:
    """One worker, as app.py says."""
    return [place.program("bentoml"), "serve", "app:Scorer", "--host", "127.0.0.1", "--port", str(place.port)]


def mlflow_save(place: Place) -> Command:
    """An MLflow model in the scratch folder."""
    return [place.python, "app.py", place.scratch / "model"]


def mlflow(place: Place) -> Command:
    """MLflow's own scoring server, one worker."""
    listen: Command = ["--host", "127.0.0.1", "--port", str(place.port), "--workers", "1"]
    return [
        place.program("mlflow"),
        "models",
        "serve",
        "-m",
        place.scratch / "model",
        "--env-manager",
        "local",
        *listen,
    ]


def mlserver(place: Place) -> Command:
    """In one process, without metrics, which is where MLServer is fastest."""
    folder = place.scratch / "served"
    shutil.copytree(PEERS / "mlserver", folder, dirs_exist_ok=True)
    settings = {
        "host": "127.0.0.1", "http_port": place.port, "grpc_port": free_port(), "metrics_port": free_port(),
        "metrics_endpoint": None, "parallel_workers": 0, "debug": False, "use_structured_logging": False,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    return [place.program("mlserver"), "start", folder]


OPEN_INFERENCE = Route("v2", "/v2/models/benchmark/infer")

CATALOGUE = (
    Peer(
        "mlflow", {"mlflow models serve": Route("mlflow", "/invocations")}, "/ping", mlflow, setup=mlflow_save
    ),
    Peer("bentoml", {"BentoML": Route("plain", "/predict")}, "/readyz", bentoml),
    Peer("litserve", {"LitServe": Route("plain", "/predict")}, "/health", script),
    Peer("ray", {"Ray Serve": Route("plain", "/")}, "/", script),
    Peer("mlserver", {"MLServer": OPEN_INFERENCE}, "/v2/health/ready", mlserver, quick=True),
    Peer(
        "kserve",
        {"KServe": OPEN_INFERENCE, "KServe, binary": Route("v2 binary", OPEN_INFERENCE.path)},
        "/v2/health/ready",
        script,
    ),
    Peer(
        "fastapi",
        {
            "FastAPI + pydantic": Route("plain", "/pydantic"),
            "FastAPI + orjson": Route("plain", "/orjson"),
            "FastAPI + raw bytes": Route("raw", "/bytes"),
        },
        "/ready",
        uvicorn,
        product=False,
        quick=True,
    ),
    Peer("raw", {"raw ASGI + raw bytes": Route("raw", "/")}, "/", uvicorn, product=False, quick=True),
)  # fmt: skip


def variables(peer: Peer, place: Place, graph: Path) -> dict[str, str]:
    """The environment that `peer` is started with. Some start programs of their own by name: theirs are found first."""
    search = f"{place.python.parent}{os.pathsep}{os.environ['PATH']}"
    paths = {"PATH": search, "PYTHONPATH": str(PEERS / "shared"), "MODEL": str(graph), "SCRATCH": str(place.scratch)}
    return {**QUIET, **SINGLE, **paths, **peer.variables}
