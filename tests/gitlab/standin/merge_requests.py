"""Merge requests, their notes, and files uploaded to be shown in them."""

import re
from hashlib import sha256
from pathlib import PurePosixPath
from urllib.parse import unquote

from gitlab.standin.calls import Answer, Call, Json, RefusedError, absent, bad, only, paged, route
from gitlab.standin.state import PROJECT, State, now
from gitlab.standin.tokens import MAINTAINER_ROLE, REPORTER_ROLE, Token

LONGEST_NOTE = 1_000_000
LARGEST_UPLOAD = 100 * 1024**2
IMAGES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".gif": "image/gif"}
QUICK_ACTION = re.compile(
    r"^/(merge|close|reopen|approve|label|unlabel|assign|assign_reviewer|title|target_branch|draft|ready|rebase|lock|"
    r"milestone|todo|done|subscribe|estimate|spend|copy_metadata|award|react|shrug|tableflip)\b.*$",
    re.MULTILINE,
)
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1|^<!--.*?-->", re.MULTILINE | re.DOTALL)


@route("GET", "merge_requests", role=REPORTER_ROLE)
def merge_requests(state: State, call: Call) -> Answer:
    wanted = {name: call.query[name] for name in ("state", "source_branch", "target_branch") if name in call.query}
    wanted = {name: value for name, value in wanted.items() if value != "all"}
    return paged(call, (one for one in state.merge_requests if all(one[name] == wanted[name] for name in wanted)))


@route("GET", "merge_requests/{iid}", job=True)
def merge_request(state: State, call: Call) -> Answer:
    return Answer(200, only(state.merge_requests, iid=call.named["iid"]))


@route("GET", "repository/commits/{sha}/merge_requests")
def of_commit(state: State, call: Call) -> Answer:
    sha = call.named["sha"]
    shown = ("sha", "merge_commit_sha", "squash_commit_sha")
    return paged(call, (one for one in state.merge_requests if sha in [one[name] for name in shown]))


@route("GET", "merge_requests/{iid}/notes", role=REPORTER_ROLE, job=True)
def notes(state: State, call: Call) -> Answer:
    only(state.merge_requests, iid=call.named["iid"])
    rows = [one for one in state.notes if str(one["noteable_iid"]) == call.named["iid"]]
    field = call.query.get("order_by", "created_at")
    rows.sort(key=lambda one: (one[field], one["id"]), reverse=call.query.get("sort", "desc") == "desc")
    return paged(call, rows)


@route("GET", "merge_requests/{iid}/notes/{note}", job=True)
def note(state: State, call: Call) -> Answer:
    return Answer(200, _note(state, call))


@route("POST", "merge_requests/{iid}/notes", role=REPORTER_ROLE)
def write_note(state: State, call: Call) -> Answer:
    made = added(state, call.token, _text(state, call), iid=int(call.named["iid"]))
    return Answer(201, made)


@route("PUT", "merge_requests/{iid}/notes/{note}", role=REPORTER_ROLE)
def change_note(state: State, call: Call) -> Answer:
    found = _own(state, call)
    found |= {"body": _text(state, call), "updated_at": now()}
    return Answer(200, found)


@route("DELETE", "merge_requests/{iid}/notes/{note}", role=REPORTER_ROLE)
def delete_note(state: State, call: Call) -> Answer:
    state.notes.remove(_own(state, call))
    return Answer(204, b"")


@route("POST", "uploads")
def upload(state: State, call: Call) -> Answer:
    files = [(name, content) for field, name, content in call.parts() if field == "file" and name]
    if not files:
        raise RefusedError(400, {"error": "file is missing"})
    name, content = files[0]
    if len(content) > LARGEST_UPLOAD:
        raise RefusedError(413, {"message": "File is too large"})
    name = re.sub(r"[^\w.+-]", "_", str(name))
    secret = sha256(f"{len(state.uploads)} {name}".encode()).hexdigest()[:32]
    state.uploads[f"{secret}/{name}"] = content
    alt, url = PurePosixPath(name).stem, f"/uploads/{secret}/{name}"
    shown = "!" if PurePosixPath(name).suffix in IMAGES else ""
    said = {"alt": alt, "url": url, "full_path": f"/-/project/{PROJECT}{url}"}
    return Answer(201, {"id": len(state.uploads), "markdown": f"{shown}[{alt}]({url})"} | said)


@route("GET", "uploads/{secret}/{file}")
def uploaded(state: State, call: Call) -> Answer:
    content = state.uploads.get(f"{call.named['secret']}/{unquote(call.named['file'])}")
    if content is None:
        raise absent("Upload")
    kind = IMAGES.get(PurePosixPath(call.named["file"]).suffix, "application/octet-stream")
    return Answer(200, content, {"Content-Type": kind})


def added(state: State, token: Token, body: str, *, iid: int, system: bool = False) -> Json:
    """A note by the user of `token`, as the API shows it."""
    number = max((one["id"] for one in state.notes), default=300) + 1
    target = only(state.merge_requests, iid=iid)
    made: Json = {
        "id": number,
        "type": None,
        "body": body,
        "author": {"id": token.user, "username": token.name, "name": token.name, "state": "active"},
        "created_at": now(),
        "updated_at": now(),
        "system": system,
        "noteable_id": target["id"],
        "noteable_type": "MergeRequest",
        "project_id": int(PROJECT),
        "resolvable": False,
        "confidential": False,
        "internal": False,
        "noteable_iid": iid,
        "commands_changes": {},
    }
    state.notes.append(made)
    return made


def _note(state: State, call: Call) -> Json:
    return only(state.notes, "Note", noteable_iid=call.named["iid"], id=call.named["note"])


def _own(state: State, call: Call) -> Json:
    found = _note(state, call)
    if found["author"]["id"] != call.token.user and call.token.role < MAINTAINER_ROLE:
        raise RefusedError(403, {"message": "403 Forbidden"})
    return found


def _text(state: State, call: Call) -> str:
    """The body of a note without its quick actions, which are executed; one in a code block is text."""
    body = call.body().get("body")
    if not body:
        raise RefusedError(400, {"error": "body is missing" if body is None else "body is empty"})
    if len(body) > LONGEST_NOTE:
        raise bad(f'400 Bad request - Note {{:note=>["is too long (maximum is {LONGEST_NOTE} characters)"]}}')
    fenced = [found.span() for found in FENCED.finditer(body)]
    for found in reversed(list(QUICK_ACTION.finditer(body))):
        if not any(start <= found.start() < end for start, end in fenced):
            state.commands.append(found[0])
            body = body[: found.start()] + body[found.end() :]
    return str(body)
