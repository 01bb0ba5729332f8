"""What goes in and out of a handler, whatever the transport: a call and a reply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from wattline.serving.refusal import RefusedError

JSON = "application/json"


@dataclass(slots=True, frozen=True)
class Principal:
    """Who asks.

    roles: what they may do: predict, feedback, operate, audit
    """

    name: str
    roles: frozenset[str]


ANYONE = Principal("anyone", frozenset({"predict", "feedback", "operate", "audit"}))
"""Who asks where `serving.auth.mode` is none."""


@dataclass(slots=True)
class Call:
    """One request, completely received and within its limits.

    headers: names in lower case
    body: without Content-Encoding
    id: names this request in its reply, the log of answers and the feedback
    received, deadline: instants of time.monotonic() [s]
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    id: str
    received: float
    deadline: float
    peer: str
    principal: Principal = ANYONE
    route: "Route | None" = None


@dataclass(slots=True)
class Reply:
    """What is sent back. `headers` come on top of Content-Type and Content-Length.

    reason: of a refusal, for the metrics
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=())
    content_type: str = JSON
    reason: str = ""


Cancel = Callable[[], None]
Handler = Callable[[Call, Callable[[Reply], None]], Cancel | None]
"""Starts to answer a call; the function takes the reply, once. Returns what stops the work, if anything can."""


@dataclass(slots=True, frozen=True)
class Route:
    """One row of the table of routes.

    template: the path with {names}, as metrics and logs show it
    role: what a caller must be allowed to do; None: anybody may ask, without saying who they are
    scores: whether it needs room in the queue, and a model
    """

    method: str
    template: str
    role: str | None
    handler: Handler
    scores: bool = False


@dataclass(slots=True, frozen=True)
class Admission:
    """Who asks, and for which route; None: for none of ours."""

    principal: Principal
    route: Route | None


def refusal(error: RefusedError) -> Reply:
    """The reply that says `error`."""
    body = orjson.dumps({"error": str(error)})
    return Reply(error.status, body, tuple(error.headers.items()), reason=error.reason)


def failure() -> Reply:
    """What a caller is told when the server is at fault."""
    return refusal(RefusedError("the server failed to answer; its log says why", status=500, reason="failure"))
