"""The HTTP server: one model, /predict for people, probes for the orchestrator."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from wattline.errors import InputError
from wattline.serving.answer import answer, summary, warm_up
from wattline.serving.engine import CANDIDATE, Engine
from wattline.serving.question import MalformedError, parse

LARGEST_BODY = 8 * 1024 * 1024
SECONDS_TO_DRAIN = 10


class Slot:
    """The place of the loaded model: empty until one was verified, loaded and warmed up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine: Engine | None = None

    def load(self) -> None:
        """Fill the slot. Raises InputError or IntegrityError, and stays as it was, when the folder holds no model."""
        if not (self._folder / CANDIDATE).is_file():
            raise InputError(
                f"{self._folder} holds no model; run `wattline champion` after a promotion, or serve another folder"
            )
        engine = Engine(self._folder)
        warm_up(engine)
        self._engine = engine

    @property
    def loaded(self) -> bool:
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The model. Raises HTTPException 503 while there is none."""
        if self._engine is None:
            raise HTTPException(503, "the model is not loaded yet; ask again", {"Retry-After": "1"})
        return self._engine


def create_app(folder: Path) -> FastAPI:
    """Make the application that serves the candidate in `folder`. It loads at start-up; `app.state.slot` holds it."""
    slot = Slot(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not slot.loaded:
            await asyncio.to_thread(slot.load)
        yield

    # The interactive documentation loads scripts from other hosts, so it is left out.
    app = FastAPI(title="Wattline", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.slot = slot
    app.add_api_route("/livez", _livez, methods=["GET"])
    app.add_api_route("/readyz", partial(_readyz, slot), methods=["GET"])
    app.add_api_route("/model", partial(_model, slot), methods=["GET"])
    app.add_api_route("/predict", partial(_predict, slot), methods=["POST"])
    app.add_exception_handler(MalformedError, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


async def _livez() -> Response:
    return _json({"status": "alive"})


async def _readyz(slot: Slot) -> Response:
    return _json({"status": "ready", "digest": slot.engine.candidate.digest})


async def _model(slot: Slot) -> Response:
    return _json(summary(slot.engine))


async def _predict(slot: Slot, request: Request) -> Response:
    engine = slot.engine
    kind = request.headers.get("content-type", "")
    if kind.split(";")[0].strip().lower() != "application/json":
        raise MalformedError(f"Content-Type must be application/json, got {kind or 'none'}", status=415)
    question = parse(await _body(request), engine.signature)
    return _json(await asyncio.to_thread(answer, engine, question))


async def _body(request: Request) -> bytes:
    """Read the body, but never more of it than LARGEST_BODY."""
    announced = request.headers.get("content-length", "0")
    body = bytearray()
    if not announced.isdecimal() or int(announced) <= LARGEST_BODY:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                break
        else:
            return bytes(body)
    raise MalformedError(f"the body is larger than {LARGEST_BODY} bytes; send one window", status=413)


def _json(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, MalformedError)
    # What is left of a refused body is not worth reading: the connection ends with the answer.
    headers = {"Connection": "close"} if error.status == 413 else None
    return _json({"error": str(error)}, status=error.status, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail if error.status_code == 503 else f"{request.method} {request.url.path}: {error.detail}"
    return _json({"error": message}, status=error.status_code, headers=dict(error.headers or {}))


async def _gone(*_: object) -> Response:
    return _json({"error": "the caller left before its request was complete"}, status=400)


async def _failed(*_: object) -> Response:
    return _json({"error": "the server failed to answer; its log says why"}, status=500)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or []:
            host, port = one.getsockname()[:2]
            sys.stdout.write(f"serving at http://{f'[{host}]' if ':' in host else host}:{port}\n")
            sys.stdout.flush()

    def handle_exit(self, *_: object) -> None:
        # uvicorn would end by the signal itself; being asked to end is no failure.
        self.should_exit = True


def serve(folder: Path, *, host: str, port: int) -> None:
    """Serve the candidate in `folder` until SIGTERM or SIGINT, and say on one line where, once it answers.

    port: 0 for any free one
    Raises InputError or IntegrityError when the model cannot be loaded or the address cannot be had.
    """
    app = create_app(folder)
    app.state.slot.load()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=SECONDS_TO_DRAIN
    )
    with _listener(host, port) as listener:
        _Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port") from None
