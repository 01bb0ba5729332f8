"""The least that an ASGI server can do: a bare callable, bytes in, the score out."""

import orjson
from scoring import Model

model = Model()


async def app(scope: dict, receive: object, send: object) -> None:
    """Answer a POST with the score of its body, anything else with that it is there."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    parts, more = [], scope["method"] == "POST"
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    answer = orjson.dumps({"score": model.score_bytes(body)}) if body else b'{"status":"ready"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    return await send({"type": "http.response.body", "body": answer})


async def lifespan(receive: object, send: object) -> None:
    """Start and stop."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
