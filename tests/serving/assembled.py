"""The FastAPI application in this process, under a server that others wrote."""

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tests.serving.running import prepare
from wattline import params
from wattline.serving.app import create_app
from wattline.serving.assembly import assemble
from wattline.serving.job import Job


@contextmanager
def under_uvicorn(folder: Path) -> Iterator[str]:
    """The address of an application that serves the tiny model in `folder`, which is the working folder meanwhile."""
    with contextlib.chdir(prepare(folder)):
        serving = params.load().serving
        service = assemble(Job(serving, "anomaly", Path("champion"), None, Path("state"), 12.5), worker="0")
        config = uvicorn.Config(create_app(service), port=0, log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.02)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
