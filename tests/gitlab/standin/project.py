"""What a pipeline may want to know of its project, of its token and of the runners."""

from dataclasses import asdict
from urllib.parse import unquote

from gitlab.standin.calls import Answer, Call, Json, RefusedError, absent, only, paged, route
from gitlab.standin.pipelines import may_update
from gitlab.standin.state import State
from gitlab.standin.tokens import DEVELOPER_ROLE, MAINTAINER_ROLE, REPORTER_ROLE, Token

DEFAULTS = {"variable_type": "env_var", "protected": False, "masked": False, "hidden": False, "raw": False}


@route("GET", "")
def project(state: State, call: Call) -> Answer:
    level = {"access_level": call.token.role, "notification_level": 3}
    return Answer(200, state.project | {"permissions": {"project_access": level, "group_access": None}})


@route("GET", "repository/branches", role=REPORTER_ROLE)
def branches(state: State, call: Call) -> Answer:
    return paged(call, (_branch(state, call.token, one) for one in state.branches))


@route("GET", "repository/branches/{name+}", role=REPORTER_ROLE)
def branch(state: State, call: Call) -> Answer:
    return Answer(200, _branch(state, call.token, only(state.branches, "Branch", name=unquote(call.named["name"]))))


@route("GET", "protected_branches", role=MAINTAINER_ROLE)
def protected_branches(state: State, call: Call) -> Answer:
    return paged(call, state.protected_branches)


@route("GET", "protected_branches/{name}", role=MAINTAINER_ROLE)
def protected_branch(state: State, call: Call) -> Answer:
    return Answer(200, only(state.protected_branches, name=unquote(call.named["name"])))


@route("GET", "environments", role=REPORTER_ROLE, job=True)
def environments(state: State, call: Call) -> Answer:
    name = call.query.get("name")
    return paged(call, (one for one in state.environments if name in (None, one["name"])))


@route("GET", "protected_environments", role=MAINTAINER_ROLE)
def protected_environments(state: State, call: Call) -> Answer:
    if state.protected_environments is None:
        raise RefusedError(404, {"message": "404 Not Found"})
    return paged(call, state.protected_environments)


@route("GET", "variables", role=MAINTAINER_ROLE)
def variables(state: State, call: Call) -> Answer:
    return paged(call, (_variable(one) for one in state.variables))


@route("GET", "variables/{key}", role=MAINTAINER_ROLE)
def variable(state: State, call: Call) -> Answer:
    return Answer(200, _variable(only(state.variables, "Variable", key=call.named["key"])))


@route("GET", "runners", role=MAINTAINER_ROLE)
def runners(state: State, call: Call) -> Answer:
    """Without tags in the rows; `tag_list` and `status` choose among them."""
    wanted = set(filter(None, call.query.get("tag_list", "").split(",")))
    rows = [one for one in state.runners if wanted <= set(one["tag_list"])]
    rows = [one for one in rows if call.query.get("status") in (None, one["status"])]
    hidden = ("tag_list", "run_untagged", "locked", "access_level")
    return paged(call, ({name: value for name, value in one.items() if name not in hidden} for one in rows))


@route("GET", "/api/v4/runners/{id}", role=MAINTAINER_ROLE)
def runner(state: State, call: Call) -> Answer:
    return Answer(200, only(state.runners, id=call.named["id"]))


@route("GET", "members/all/{user}")
@route("GET", "members/{user}")
def member(state: State, call: Call) -> Answer:
    for one in state.tokens.values():
        if str(one.user) == call.named["user"]:
            return Answer(200, _user(one) | {"access_level": one.role, "expires_at": None})
    raise absent()


@route("GET", "members/all")
@route("GET", "members")
def members(state: State, call: Call) -> Answer:
    return paged(call, (_user(one) | {"access_level": one.role} for one in state.tokens.values()))


@route("GET", "job_token_scope", role=MAINTAINER_ROLE)
def job_token_scope(state: State, call: Call) -> Answer:
    return Answer(200, {"inbound_enabled": True, "outbound_enabled": False})


@route("GET", "pages", role=MAINTAINER_ROLE)
def pages(state: State, call: Call) -> Answer:
    if state.pages is None:
        raise absent()
    return Answer(200, state.pages)


@route("GET", "registry/repositories", role=REPORTER_ROLE, job=True)
def repositories(state: State, call: Call) -> Answer:
    return paged(call, state.repositories)


@route("GET", "/api/v4/user")
def user(state: State, call: Call) -> Answer:
    return Answer(200, _user(call.token) | {"bot": True})


@route("GET", "/api/v4/version")
def version(state: State, call: Call) -> Answer:
    return Answer(200, {"version": "18.4.0", "revision": "standin"})


@route("GET", "/api/v4/personal_access_tokens/self")
def token(state: State, call: Call) -> Answer:
    said = {name: value for name, value in asdict(call.token).items() if name in ("name", "active", "expires_at")}
    more = {"id": 1, "revoked": False, "user_id": call.token.user, "created_at": "2026-01-01T00:00:00.000Z"}
    return Answer(200, said | more | {"scopes": list(call.token.scopes), "last_used_at": None})


@route("GET", "/api/v4/job", job=True)
def job(state: State, call: Call) -> Answer:
    if not call.token.job:
        raise RefusedError(401, {"message": "401 Unauthorized"})
    return Answer(200, state.job)


def _branch(state: State, token: Token, row: Json) -> Json:
    """A branch as GitLab shows it: whether developers may change it needs no maintainer to be known."""
    levels = next((one for one in state.protected_branches if one["name"] == row["name"]), None)
    developer = Token(user=0, name="", role=DEVELOPER_ROLE)
    pushes = levels is None or any(one["access_level"] <= DEVELOPER_ROLE for one in levels["push_access_levels"])
    return row | {
        "protected": levels is not None,
        "developers_can_push": levels is not None and pushes,
        "developers_can_merge": levels is not None and may_update(state, developer, row["name"]),
        "can_push": levels is None or token.role >= min(one["access_level"] for one in levels["push_access_levels"]),
        "web_url": f"{state.project['web_url']}/-/tree/{row['name']}",
    }


def _variable(row: Json) -> Json:
    return DEFAULTS | {"value": "", "environment_scope": "*", "description": None} | row


def _user(token: Token) -> Json:
    return {"id": token.user, "username": token.name, "name": token.name, "state": "active"}
