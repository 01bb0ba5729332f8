"""Bytes of HTTP/1.1: replies as they are written, and the limits that headers and encodings are held to."""

import zlib
from collections.abc import Mapping

import httptools

from wattline.params.serving import LimitsParams
from wattline.serving.call import Reply
from wattline.serving.refusal import RefusedError

REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict",
    413: "Content Too Large", 415: "Unsupported Media Type", 417: "Expectation Failed", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
STATUS_LINES = {code: f"HTTP/1.1 {code} {reason}\r\n".encode() for code, reason in REASONS.items()}


def rendered(reply: Reply, *, keep: bool, head: bool) -> bytes:
    """`reply` as it goes over the wire.

    keep: whether the connection stays open; head: whether the body is left out, as HEAD wants it
    """
    lines = [
        STATUS_LINES.get(reply.status) or f"HTTP/1.1 {reply.status} Status\r\n".encode(),
        f"content-type: {reply.content_type}\r\ncontent-length: {len(reply.body)}\r\n".encode("latin-1"),
    ]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in reply.headers]
    lines.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
    if not head:
        lines.append(reply.body)
    return b"".join(lines)


def target(url: bytes) -> tuple[str, str]:
    """Path and query of a request target. Raises RefusedError."""
    try:
        parsed = httptools.parse_url(url)
        return (parsed.path or b"/").decode("ascii"), (parsed.query or b"").decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise RefusedError("the request target is no valid URL in ASCII", reason="http") from None


def announced_bytes(headers: Mapping[str, str], limits: LimitsParams) -> int | None:
    """Content-Length; None where the body comes in chunks. Raises RefusedError 413 for more than may come."""
    if "transfer-encoding" in headers:
        return None
    length = int(headers.get("content-length", "0"))  # the parser has let digits through only
    if length > limits.body_bytes:
        raise large_body(limits)
    return length


def large_body(limits: LimitsParams) -> RefusedError:
    """What a caller is told whose body is too large."""
    return RefusedError(
        f"the body is larger than {limits.body_bytes} bytes; send fewer windows", status=413, reason="size"
    )


def long_head(limits: LimitsParams) -> RefusedError:
    """What a caller is told whose headers do not end."""
    return RefusedError(f"the headers are longer than {limits.header_bytes} bytes", status=431, reason="size")


def decompressed(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Undo Content-Encoding gzip or deflate, but never produce more than `limit` bytes. Raises RefusedError."""
    kind = encoding.strip().lower()
    if kind == "identity":
        return body
    if kind not in ("gzip", "deflate"):
        raise RefusedError(
            f"Content-Encoding must be gzip or deflate, got {encoding[:40]!r}", status=415, reason="encoding"
        )
    inflator = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        content = inflator.decompress(body, limit + 1)
    except zlib.error:
        raise RefusedError(f"the body is not valid {kind}", reason="encoding") from None
    if len(content) > limit:
        raise RefusedError(
            f"the body is larger than {limit} bytes once it is decompressed; send fewer windows",
            status=413,
            reason="size",
        )
    if not inflator.eof or inflator.unused_data:
        raise RefusedError(f"the body is not one complete {kind} stream", reason="encoding")
    return content


def seconds_allowed(headers: Mapping[str, str], limits: LimitsParams) -> float:
    """How long an answer may take: the server's deadline, or what X-Deadline-Ms asks for where that is less [s]."""
    asked = headers.get("x-deadline-ms")
    if asked is None:
        return limits.deadline_seconds
    if not asked.isdecimal() or not asked.isascii() or len(asked) > 9 or int(asked) == 0:
        raise RefusedError(f"X-Deadline-Ms must be a whole number of milliseconds above 0, got {asked[:20]!r}")
    return min(limits.deadline_seconds, int(asked) / 1000)
