"""Generic packages and releases, for which the token of a job will do."""

import re
from urllib.parse import unquote

from gitlab.standin.calls import Answer, Call, Json, RefusedError, absent, only, paged, route
from gitlab.standin.state import State, now
from gitlab.standin.tokens import DEVELOPER_ROLE

NAME = re.compile(r"[A-Za-z0-9._+~@-]+")


@route("PUT", "packages/generic/{name}/{version}/{file+}", role=DEVELOPER_ROLE, job=True)
def put_file(state: State, call: Call) -> Answer:
    for field in ("name", "version", "file"):
        if not NAME.fullmatch(unquote(call.named[field]).replace("/", "" if field == "file" else "/")):
            raise RefusedError(400, {"error": f"{'file_name' if field == 'file' else f'package_{field}'} is invalid"})
    state.packages[_key(call)] = call.content
    return Answer(201, {"message": "201 Created"})


@route("GET", "packages/generic/{name}/{version}/{file+}", job=True)
def get_file(state: State, call: Call) -> Answer:
    if _key(call) not in state.packages:
        raise absent()
    return Answer(200, state.packages[_key(call)], {"Content-Type": "application/octet-stream"})


@route("GET", "packages", job=True)
def packages(state: State, call: Call) -> Answer:
    names = sorted({tuple(key.split("/")[:2]) for key in state.packages})
    wanted = call.query.get("package_name", "")
    rows = [{"id": at, "name": one, "version": number} for at, (one, number) in enumerate(names, start=1)]
    return paged(call, (row | {"package_type": "generic"} for row in rows if wanted in row["name"]))


@route("GET", "releases", job=True)
def releases(state: State, call: Call) -> Answer:
    return paged(call, reversed(state.releases))


@route("GET", "releases/{tag}", job=True)
def release(state: State, call: Call) -> Answer:
    return Answer(200, _release(state, call))


@route("POST", "releases", role=DEVELOPER_ROLE, job=True)
def write_release(state: State, call: Call) -> Answer:
    body = call.body()
    tag = body["tag_name"]
    if any(one["tag_name"] == tag for one in state.releases):
        raise RefusedError(409, {"message": "Release already exists"})
    if not any(one["name"] == tag for one in state.tags):
        if "ref" not in body:
            raise RefusedError(422, {"message": "Ref is not specified"})
        state.tags.append({"name": tag, "commit": {"id": body["ref"]}})
    links = [_link(at, one) for at, one in enumerate(body.get("assets", {}).get("links", []), start=1)]
    if len({one["name"] for one in links}) < len(links):
        raise RefusedError(400, {"message": 'Validation failed: Links have duplicate values (["name"])'})
    state.releases.append(
        {"tag_name": tag, "name": body.get("name", tag), "description": body.get("description", "")}
        | {"created_at": now(), "released_at": now(), "assets": {"count": len(links), "links": links}}
    )
    return Answer(201, state.releases[-1])


@route("PUT", "releases/{tag}", role=DEVELOPER_ROLE, job=True)
def change_release(state: State, call: Call) -> Answer:
    found = _release(state, call)
    found |= {name: value for name, value in call.body().items() if name in ("name", "description")}
    return Answer(200, found)


@route("GET", "releases/{tag}/assets/links", job=True)
def links(state: State, call: Call) -> Answer:
    return paged(call, _release(state, call)["assets"]["links"])


@route("POST", "releases/{tag}/assets/links", role=DEVELOPER_ROLE, job=True)
def write_link(state: State, call: Call) -> Answer:
    held = _release(state, call)["assets"]["links"]
    made = _link(len(held) + 1, call.body())
    if any(made[field] == one[field] for one in held for field in ("name", "url")):
        raise RefusedError(400, {"message": {"name": ["has already been taken"]}})
    held.append(made)
    return Answer(201, made)


def _link(number: int, said: Json) -> Json:
    return {"id": number, "link_type": "other", "direct_asset_url": said["url"]} | said


def _key(call: Call) -> str:
    return "/".join(unquote(call.named[field]) for field in ("name", "version", "file"))


def _release(state: State, call: Call) -> Json:
    return only(state.releases, tag_name=unquote(call.named["tag"]))
