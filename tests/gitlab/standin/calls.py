"""One request to the stand-in and what a route answers to it."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gitlab.standin.tokens import GUEST_ROLE, Token

if TYPE_CHECKING:
    from gitlab.standin.state import State

Json = dict[str, Any]
PAGE, LARGEST_PAGE = 20, 100


class RefusedError(Exception):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Fault:
    """Answer `status` instead of doing what is asked, or after it was done where `late`; None cuts the connection.

    method: of the calls it concerns; all where it is empty
    """

    route: str
    status: int | None
    times: int = 1
    late: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    method: str = ""


@dataclass
class Call:
    """A request that passed the checks of its route.

    named: what stands in the address; token: who asks
    """

    named: dict[str, str]
    query: dict[str, str]
    content: bytes
    kind: str
    token: Token
    host: str

    def body(self) -> Json:
        """The fields of a JSON object or of a form."""
        if "json" in self.kind:
            return dict(json.loads(self.content or b"{}"))
        if "urlencoded" in self.kind:
            return {name: values[0] for name, values in parse_qs(self.content.decode()).items()}
        return {name: value.decode() for name, _, value in self.parts()}

    def parts(self) -> list[tuple[str, str | None, bytes]]:
        """Name, file name and content of each part of a multipart form."""
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {self.kind}\r\n\r\n".encode() + self.content)
        found = []
        for part in message.iter_parts():
            name = str(part.get_param("name", header="Content-Disposition"))
            found.append((name, part.get_filename(), part.get_payload(decode=True) or b""))
        return found


@dataclass
class Answer:
    """What goes back: JSON, or bytes as they are."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Route:
    """Who may call what.

    role: the least that a token of scope `api` needs; job: whether a job token will do
    """

    method: str
    pattern: re.Pattern[str]
    function: Callable[["State", Call], Answer]
    role: int
    job: bool


ROUTES: list[Route] = []


def route(
    method: str, pattern: str, *, role: int = GUEST_ROLE, job: bool = False
) -> Callable[[Callable[["State", Call], Answer]], Callable[["State", Call], Answer]]:
    """Mount a function; `{name}` in the pattern is one part of the path below the project, `{name+}` is all the rest.

    A pattern that begins with "/" is none of the project's.
    """
    expression = re.sub(r"{(\w+)\+}", r"(?P<\1>.+)", pattern)
    compiled = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", expression))

    def mount(function: Callable[["State", Call], Answer]) -> Callable[["State", Call], Answer]:
        ROUTES.append(Route(method, compiled, function, role, job))
        return function

    return mount


def paged(call: Call, rows: Iterable[Any]) -> Answer:
    """One page of a list, with GitLab's headers."""
    found = list(rows)
    size = min(int(call.query.get("per_page", PAGE)), LARGEST_PAGE)
    page = int(call.query.get("page", 1))
    pages = -(-len(found) // size)
    headers = {
        "X-Page": str(page),
        "X-Per-Page": str(size),
        "X-Total": str(len(found)),
        "X-Total-Pages": str(pages),
        "X-Next-Page": str(page + 1) if page < pages else "",
    }
    return Answer(200, found[(page - 1) * size : page * size], headers)


def absent(what: str = "") -> RefusedError:
    return RefusedError(404, {"message": f"404 {what + ' ' if what else ''}Not Found"})


def bad(message: Any) -> RefusedError:
    return RefusedError(400, {"message": message})


def only(rows: Iterable[Json], what: str = "", **fields: Any) -> Json:
    """The one row with these fields. Raises RefusedError of status 404 where there is none."""
    for row in rows:
        if all(str(row.get(name)) == str(value) for name, value in fields.items()):
            return row
    raise absent(what)
