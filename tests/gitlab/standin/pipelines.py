"""Pipelines: started by a token or a trigger, listed, and what they were started with."""

from fnmatch import fnmatchcase

from gitlab.standin.calls import Answer, Call, Json, RefusedError, absent, bad, only, paged, route
from gitlab.standin.state import PROJECT, State, now
from gitlab.standin.tokens import DEVELOPER_ROLE, REPORTER_ROLE, ROLES, TRIGGER, Token

SAME = ("ref", "sha", "source", "status", "username")
NEW = "created"


@route("GET", "pipelines", role=REPORTER_ROLE)
def pipelines(state: State, call: Call) -> Answer:
    """The newest first. Those of a child pipeline only where `source=parent_pipeline` asks for them."""
    query = call.query
    rows = [one for one in state.pipelines if all(str(one[name]) == query[name] for name in SAME if name in query)]
    if "source" not in query:
        rows = [one for one in rows if one["source"] != "parent_pipeline"]
    for field in ("created", "updated"):
        rows = [one for one in rows if one[f"{field}_at"] > query.get(f"{field}_after", "")]
        rows = [one for one in rows if one[f"{field}_at"] < query.get(f"{field}_before", "~")]
    rows.sort(key=lambda one: one[query.get("order_by", "id")], reverse=query.get("sort", "desc") == "desc")
    return paged(call, rows)


@route("GET", "pipelines/{pipeline}", role=REPORTER_ROLE)
def pipeline(state: State, call: Call) -> Answer:
    return Answer(200, _pipeline(state, call))


@route("GET", "pipelines/{pipeline}/variables", role=DEVELOPER_ROLE)
def variables(state: State, call: Call) -> Answer:
    return paged(call, state.pipeline_variables.get(str(_pipeline(state, call)["id"]), []))


@route("GET", "pipelines/{pipeline}/jobs", role=REPORTER_ROLE, job=True)
def jobs(state: State, call: Call) -> Answer:
    """Jobs whose `pipeline.id` is this; `scope[]` asks for one status."""
    number, scope = _pipeline(state, call)["id"], call.query.get("scope[]")
    rows = (one for one in state.jobs if one["pipeline"]["id"] == number and "downstream_pipeline" not in one)
    return paged(call, (one for one in rows if scope in (None, one["status"])))


@route("GET", "pipelines/{pipeline}/bridges", role=REPORTER_ROLE)
def bridges(state: State, call: Call) -> Answer:
    """Jobs that trigger a child pipeline: those of `state.jobs` with a `downstream_pipeline`."""
    number = _pipeline(state, call)["id"]
    rows = (one for one in state.jobs if one["pipeline"]["id"] == number)
    return paged(call, (one for one in rows if "downstream_pipeline" in one))


@route("POST", "pipelines/{pipeline}/cancel", role=DEVELOPER_ROLE)
def cancel(state: State, call: Call) -> Answer:
    found = _pipeline(state, call)
    found |= {"status": "canceled", "updated_at": now()}
    return Answer(200, found)


@route("POST", "pipeline", role=DEVELOPER_ROLE)
def create(state: State, call: Call) -> Answer:
    body = call.body()
    if not body.get("ref"):
        raise RefusedError(400, {"error": "ref is missing"})
    given = [{"variable_type": "env_var", "raw": False} | one for one in body.get("variables", [])]
    return Answer(201, started(state, call.token, body["ref"], given, source="api"))


@route("POST", "trigger/pipeline", job=True)
def trigger(state: State, call: Call) -> Answer:
    """With `token` in the body: a trigger's, or that of a job, whose pipeline has the source `pipeline`."""
    body = call.body()
    job = body.get("token") in state.tokens and state.tokens[body["token"]].job
    if body.get("token") != TRIGGER and not job:
        raise absent()
    rows = body.get("variables") or {key[10:-1]: body[key] for key in body if key.startswith("variables[")}
    given = [{"variable_type": "env_var", "key": key, "value": value, "raw": False} for key, value in rows.items()]
    owner = Token(user=1, name="ada", role=40)
    return Answer(201, started(state, owner, body["ref"], given, source="pipeline" if job else "trigger"))


def started(state: State, token: Token, ref: str, given: list[Json], *, source: str, **fields: object) -> Json:
    """A new pipeline as the API shows it. Raises RefusedError where the user may not start it."""
    branch = next((one for one in state.branches + state.tags if one["name"] == ref), None)
    if branch is None:
        raise bad({"base": ["Reference not found"]})
    if not may_update(state, token, ref):
        raise bad({"base": [f"You do not have sufficient permission to run a pipeline on '{ref}'."]})
    if given and token.role < ROLES[state.project["ci_pipeline_variables_minimum_override_role"]]:
        raise bad({"base": ["Insufficient permissions to set pipeline variables"]})
    number = max((one["id"] for one in state.pipelines), default=500) + 1
    made: Json = {
        "id": number,
        "iid": number - 500,
        "project_id": int(PROJECT),
        "sha": branch["commit"]["id"],
        "ref": ref,
        "status": NEW,
        "source": source,
        "created_at": now(),
        "updated_at": now(),
        "started_at": None,
        "finished_at": None,
        "tag": branch in state.tags,
        "username": token.name,
        "user": {"id": token.user, "username": token.name, "name": token.name},
        "web_url": f"{state.project['web_url']}/-/pipelines/{number}",
    } | fields
    state.pipelines.append(made)
    state.pipeline_variables[str(number)] = given
    return made


def job(state: State, name: str, *, pipeline: int, stage: str, status: str = "success", **fields: object) -> Json:
    """Add a job as the API shows it."""
    number = 9000 + len(state.jobs)
    made: Json = {
        "id": number,
        "name": name,
        "stage": stage,
        "status": status,
        "allow_failure": False,
        "created_at": now(),
        "pipeline": {"id": pipeline, "project_id": int(PROJECT)},
        "web_url": f"{state.project['web_url']}/-/jobs/{number}",
    } | fields
    state.jobs.append(made)
    return made


def may_update(state: State, token: Token, ref: str) -> bool:
    """Whether the user may push to a branch or merge into it, which is what a pipeline on it takes."""
    for one in state.protected_branches:
        if fnmatchcase(ref, one["name"]):
            levels = [level["access_level"] for level in one["push_access_levels"] + one["merge_access_levels"]]
            return any(0 < level <= token.role for level in levels)
    return True


def _pipeline(state: State, call: Call) -> Json:
    return only(state.pipelines, id=call.named["pipeline"])
