"""Requests that a description of the API allows, and many that it does not, get nothing but described answers.

They import schemathesis themselves: it takes seconds that a process which only collects tests need not spend.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.running import Running, prepare, running
from tests.serving.test_clients import environments

__all__ = ["environments"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(prepare(tmp_path_factory.mktemp("server"))) as found:
        yield found


def test_our_own_description_holds(server: Running):
    from tests.serving import generated

    document = httpx.get(f"{server.address}/openapi.json", timeout=120).json()
    document["paths"] = {path: methods for path, methods in document["paths"].items() if "/admin" not in path}

    def holds(case: Any) -> None:
        case.call_and_validate(base_url=server.address, checks=generated.AS_DESCRIBED, timeout=120)

    generated.try_everything(document, holds)


def test_the_protocols_description_holds(environments: Path, server: Running):
    """The description of the Open Inference Protocol that MLServer ships."""
    from tests.serving import generated

    (path,) = environments.glob("mlserver/lib/*/site-packages/mlserver/rest/openapi/dataplane.json")
    document = json.loads(path.read_text())
    # It calls a type "bytes", which no JSON has, and describes MLServer's own additions to the protocol.
    document["components"]["schemas"]["TensorData"] = {"type": "array"}
    additions = ("stream", "generate")
    document["paths"] = {path: methods for path, methods in document["paths"].items() if not path.endswith(additions)}

    def holds(case: Any) -> None:
        answer = case.call(base_url=server.address, timeout=120)
        case.validate_response(answer, checks=generated.NO_SERVER_ERROR)
        assert answer.status_code == 200 or list(answer.json()) == ["error"]

    generated.try_everything(document, holds)
