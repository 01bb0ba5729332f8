"""A client with kept-open connections that asks as fast as it is answered, and accepts nothing but full answers."""

import asyncio
import re
from collections.abc import Mapping, Sequence

from wattline.measuring.serving.process import HOST, ServingError

LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)
JSON = "application/json"
SHOWN_BYTES = 200
LONGEST_HEAD = 65536

Lanes = Sequence[Sequence[bytes]]
"""For each connection what goes over it, one after the other."""


def request(path: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> bytes:
    """One HTTP/1.1 request with a JSON body, and with more `headers` if any."""
    said = {"Host": HOST, "Content-Type": JSON, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def ask(port: int, lanes: Lanes, *, seconds: float) -> list[list[bytes]]:
    """Send everything, each lane over a connection of its own, with one request under way on each.

    returns: the bodies of the answers, in the shape of `lanes`
    Raises ServingError for any status but 2xx, for an answer that ends early, and when all takes longer than `seconds`.
    """
    return asyncio.run(_ask(port, lanes, seconds))


async def _ask(port: int, lanes: Lanes, seconds: float) -> list[list[bytes]]:
    tasks = [asyncio.ensure_future(_lane(port, requests)) for requests in lanes if requests]
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.gather(*tasks)
    except TimeoutError:
        raise ServingError(
            f"the server did not answer everything within {seconds:g} s; see measure.serving.timeout_seconds"
        ) from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _lane(port: int, requests: Sequence[bytes]) -> list[bytes]:
    done = 0
    try:
        reader, writer = await asyncio.open_connection(HOST, port, limit=LONGEST_HEAD)
        try:
            bodies = []
            for content in requests:
                writer.write(content)
                bodies.append(await answer(reader))
                done += 1
            return bodies
        finally:
            writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        what = "ended in the middle of an answer" if isinstance(error, asyncio.IncompleteReadError) else str(error)
        raise ServingError(f"a connection broke after {done} of {len(requests)} answers: {what}") from None


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer. Raises ServingError for any status but 2xx."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    if length is None:
        raise ServingError(f"an answer does not say how long it is: {head[:SHOWN_BYTES]!r}")
    body = await reader.readexactly(int(length[1]))
    if not head.startswith(b"HTTP/1.1 2"):
        status = head[9:12].decode(errors="replace")
        raise ServingError(f"the server answered {status}: {body[:SHOWN_BYTES].decode(errors='replace')}")
    return body
