"""What a request was made of is gone once it is answered: it does not wait for the garbage collector."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.builders import COLUMNS, STEPS
from tests.serving.running import QUESTION, prepare
from wattline import params
from wattline.serving.assembly import assemble
from wattline.serving.job import Job
from wattline.serving.transport.connection import Connection

pytestmark = pytest.mark.anyio
WINDOW = np.ones((1, STEPS, len(COLUMNS)), np.float32)
INPUTS = [
    {"name": "window", "shape": list(WINDOW.shape), "datatype": "FP32", "data": WINDOW.ravel().tolist()},
    {"name": "unit", "shape": [1], "datatype": "INT64", "data": [0]},
]
INFER = "/v2/models/anomaly/infer"
SERVING = {"model": {"poll_seconds": 0.0}, "log": {"flush_seconds": 3600.0}}
REPEATS = 20


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    """The port of a server in this process and on this event loop."""
    with contextlib.chdir(prepare(folder, SERVING)):
        service = assemble(
            Job(params.load().serving, "anomaly", Path("champion"), None, Path("state"), 12.5), worker="0"
        )
        await service.start()
        server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for connection in list(service.connections):
                connection.abort()
            await server.wait_closed()
            await service.stop()


def request(path: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/predict", QUESTION), b"200"),
        (request(INFER, {"inputs": INPUTS}), b"200"),
        (request(INFER, {"inputs": INPUTS[:1]}), b"400"),
        (request("/predict", {"unit": "node-01", "rows": []}), b"422"),
    ],
)
async def test_nothing_that_a_request_was_made_of_waits_for_the_garbage_collector(tmp_path, sent, status):
    async with serving(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask() -> None:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head[9:12] == status, head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)

        await ask()
        gc.collect()
        gc.disable()
        try:
            for _ in range(REPEATS):
                await ask()
            assert gc.collect() < REPEATS
        finally:
            gc.enable()
        writer.close()
