"""The FastAPI application: describes every route, runs them under any ASGI server, and is where a fork adds its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from wattline.serving.call import Call, Reply, failure, refusal
from wattline.serving.openapi import described
from wattline.serving.refusal import RefusedError
from wattline.serving.service import Service
from wattline.serving.transport.wire import announced_bytes, decompressed, large_body, seconds_allowed


def create_app(service: Service, *, lifespan: bool = True) -> FastAPI:
    """Make the application in front of `service`.

    lifespan: whether the application starts and stops the service; not where the server's own transport does
    """

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        if lifespan:
            await service.start()
        yield
        if lifespan:
            await service.stop()

    # The interactive documentation loads scripts from other hosts, so it is left out.
    app = FastAPI(title="Wattline", lifespan=life, docs_url=None, redoc_url=None, redirect_slashes=False)
    for route in service.routes.all:
        app.add_api_route(
            route.template,
            _endpoint(service),
            methods=[route.method],
            name=f"{route.method.lower()} {route.template}",
            **described(route),
        )
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    return app


def _endpoint(service: Service) -> Any:
    async def endpoint(request: Request) -> Response:
        call = await _call(service, request)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        cancel = service.handle(call, lambda reply: None if future.done() else future.set_result(reply))
        try:
            reply = await future
        except asyncio.CancelledError:
            if cancel is not None:
                cancel()
            raise
        return _response(reply)

    return endpoint


async def _call(service: Service, request: Request) -> Call:
    """The request as the server's own transport would hand it on, admitted and within its limits."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    peer = request.client.host if request.client else "local"
    admission = service.admit(request.method, request.url.path, headers, peer)
    announced_bytes(headers, service.limits)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > service.limits.body_bytes:
            raise large_body(service.limits)
    content = bytes(body)
    if "content-encoding" in headers:
        content = decompressed(content, headers["content-encoding"], limit=service.limits.body_bytes)
    now = time.monotonic()
    return Call(
        request.method, request.url.path, request.url.query, headers, content, service.new_id(), now,
        now + seconds_allowed(headers, service.limits), peer, admission.principal, admission.route,
    )  # fmt: skip


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), reply.content_type)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _response(refusal(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return _response(refusal(RefusedError(message, status=error.status_code, headers=error.headers)))


async def _failed(*_: object) -> Response:
    return _response(failure())
