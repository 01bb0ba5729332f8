"""Clients that others wrote work unmodified against the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import mean_abs
from tests.environments import make, run
from tests.serving.running import Running, prepare, running

HERE = Path(__file__).parent / "clients"
WINDOWS = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
UNITS = np.array([0, -1], dtype=np.int64)
SCORES = [pytest.approx(score, rel=1e-6) for score in mean_abs(WINDOWS, UNITS).tolist()]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def environments() -> Path:
    """Where the clients' environments are."""
    return make("kserve", "mlserver", "tritonclient")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(prepare(tmp_path_factory.mktemp("server"))) as found:
        yield found


def session(environments: Path, name: str, server: Running) -> dict[str, Any]:
    """What the script for one client found out."""
    found: dict[str, Any] = json.loads(
        run(environments, name, "python", HERE / f"with_{name}.py", f"127.0.0.1:{server.port}").splitlines()[-1]
    )
    return found


def test_tritonclient(environments: Path, server: Running):
    found = session(environments, "tritonclient", server)
    assert (found.pop("live"), found.pop("ready"), found.pop("model_ready")) == (True, True, True)
    assert (found.pop("server"), found.pop("platform")) == ("wattline", "onnxruntime_onnx")
    assert found.pop("contribution") == [2, 3]
    status, message = found.pop("refused")
    assert ("400" in status, "window" in message) == (True, True)
    assert len(found) == 6
    assert all(scores == SCORES for scores in found.values())


def test_kserve(environments: Path, server: Running):
    found = session(environments, "kserve", server)
    assert (found.pop("live"), found.pop("ready"), found.pop("model_ready")) == (True, True, True)
    assert found == {"binary=False": SCORES, "binary=True": SCORES}


def test_mlserver_infer(environments: Path, server: Running, tmp_path: Path):
    question = {
        "inputs": [
            {"name": "window", "shape": [2, 4, 3], "datatype": "FP32", "data": WINDOWS.ravel().tolist()},
            {"name": "unit", "shape": [2], "datatype": "INT64", "data": UNITS.tolist()},
        ]
    }
    (tmp_path / "in.jsonl").write_text(json.dumps(question) + "\n")
    run(
        environments, "mlserver", "mlserver", "infer", "-u", f"127.0.0.1:{server.port}", "-m", "anomaly",
        "-i", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--transport", "rest",
    )  # fmt: skip
    answer = json.loads((tmp_path / "out.jsonl").read_text())
    assert {output["name"]: output["data"] for output in answer["outputs"]}["score"] == SCORES
