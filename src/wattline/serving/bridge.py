"""ASGI for one complete call: what is not a route of the server's own goes to the FastAPI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from wattline.serving.call import Call, Handler, Reply
from wattline.serving.handlers import asynchronous

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


def bridged(make: Callable[[], Application]) -> Handler:
    """A handler that lets an application answer. The first request that wants it has it made, in a thread.

    A server that is never asked for it starts without it: importing FastAPI takes longer than loading a model.
    """
    made: asyncio.Task[Application] | None = None

    async def answer(call: Call) -> Reply:
        nonlocal made
        if made is None or (made.done() and made.exception() is not None):
            made = asyncio.create_task(asyncio.to_thread(make))
        application = await asyncio.shield(made)
        received = False
        start: Message = {}
        parts: list[bytes] = []

        async def receive() -> Message:
            nonlocal received
            if received:
                await asyncio.Event().wait()  # the caller's leaving cancels this task
            received = True
            return {"type": "http.request", "body": call.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await application(scope(call), receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        headers.pop("content-length", None)
        content_type = headers.pop("content-type", "application/octet-stream")
        return Reply(start["status"], b"".join(parts), tuple(headers.items()), content_type)

    return asynchronous(answer)


def scope(call: Call) -> Message:
    """The ASGI scope of `call`; `wattline.call` in it is the call itself."""
    host, _, port = call.headers.get("host", "localhost").partition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "http",
        "path": call.path,
        "raw_path": call.path.encode("ascii"),
        "query_string": call.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in call.headers.items()],
        "client": (call.peer, 0),
        "server": (host, int(port) if port.isdecimal() else 80),
        "wattline.call": call,
    }
