"""GitLab's model registry as small as a test needs it: the routes that GitLab mounts, its limits and its tokens.

After lib/api/ml/mlflow, lib/api/ml/mlflow_artifacts and lib/api/ml_model_packages.rb of GitLab. It knows no aliases
but the SemVer, no search of versions, no tags on models and no logged models.
"""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from gitlab.standin.calls import Answer, Json, RefusedError
from gitlab.standin.tokens import GUEST_ROLE

if TYPE_CHECKING:
    from gitlab.standin.server import Handler

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
FILE_NAME = re.compile(r"[A-Za-z0-9._+ -]+")
ABSENT = {"error_code": "RESOURCE_DOES_NOT_EXIST"}


class Registry:
    """Models, their versions, the runs behind them and the files of each.

    object_storage: whether files are fetched from elsewhere; seen_by_storage: the tokens that were sent there
    """

    def __init__(self) -> None:
        self.models: dict[str, Json] = {}
        self.versions: list[Json] = []
        self.runs: dict[str, Json] = {}
        self.files: list[tuple[str, str, bytes]] = []
        self.object_storage = False
        self.seen_by_storage: list[str | None] = []

    def contents(self, version: str = "1") -> dict[str, bytes]:
        """Path -> bytes of a version's files; each is there once."""
        found = [(unquote(name), content) for owner, name, content in self.files if owner == version]
        assert len(found) == len(dict(found)), "a file is there twice"
        return dict(found)

    # ---- the MLflow endpoint ----------------------------------------------------------------------------------------

    def get_model(self, query: Json) -> Json:
        return {"registered_model": self._model(query["name"])}

    def create_model(self, body: Json) -> Json:
        if body["name"] in self.models or not re.fullmatch(r"[\w.@/+-]+", body["name"]):
            raise RefusedError(400, {"error_code": "RESOURCE_ALREADY_EXISTS"})
        self.models[body["name"]] = {"name": body["name"], "description": body.get("description", ""), "tags": []}
        return self.get_model(body)

    def update_model(self, body: Json) -> Json:
        self._model(body["name"])["description"] = body["description"]
        return self.get_model(body)

    def get_by_alias(self, query: Json) -> Json:
        for one in self.versions:
            if (one["name"], one["aliases"]) == (query["name"], [query["alias"]]):
                return {"model_version": one}
        raise RefusedError(404, ABSENT)

    def create_version(self, body: Json) -> Json:
        self._model(body["name"])
        tags = {tag["key"]: tag["value"] for tag in body.get("tags", [])}
        number = tags.get("gitlab.version", "1.0.0")
        problem = (
            "Version must be semantic version"
            if not SEMVER.fullmatch(number)
            else "Version has already been taken"
            if any((one["name"], one["aliases"]) == (body["name"], [number]) for one in self.versions)
            else "Validation failed: Value can't be blank or too long"
            if not all(0 < len(value) <= 5000 and 0 < len(key) <= 255 for key, value in tags.items())
            else ""
        )
        if problem:
            raise RefusedError(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": problem})
        version, run = str(len(self.versions) + 1), f"run-{len(self.versions) + 1}"
        self.runs[run] = {"info": {"run_id": run, "status": "RUNNING"}, "data": {"metrics": [], "params": []}}
        made = {"name": body["name"], "version": version, "run_id": run, "aliases": [number], "tags": body["tags"]}
        self.versions.append(made | {"description": body.get("description", "")})
        return {"model_version": self.versions[-1]}

    def get_run(self, query: Json) -> Json:
        return {"run": self._run(query)}

    def log_batch(self, body: Json) -> Json:
        data = self._run(body)["data"]
        for row in body.get("params", []):
            if not 0 < len(row["value"]) <= 250:
                raise RefusedError(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "value too long"})
            if row["key"] not in {one["key"] for one in data["params"]}:
                data["params"].append(row)
        data["metrics"] += body.get("metrics", [])  # GitLab keeps each, also one that is there
        return {}

    def update_run(self, body: Json) -> Json:
        self._run(body)["info"]["status"] = body["status"]
        return {"run_info": self._run(body)["info"]}

    def list_files(self, query: Json) -> Json:
        if not any(one["version"] == query["path"] for one in self.versions):
            raise RefusedError(404, ABSENT)
        owned = [(name, content) for owner, name, content in self.files if owner == query["path"]]
        return {"files": [{"path": name, "is_dir": False, "file_size": len(content)} for name, content in owned]}

    # ---- the package of a version -----------------------------------------------------------------------------------

    def put_file(self, version: str, path: str, content: bytes) -> Json:
        if not any(one["version"] == version for one in self.versions):
            raise RefusedError(404, {"message": "404 Not Found"})
        if not FILE_NAME.fullmatch(path.rpartition("/")[2]):
            raise RefusedError(400, {"error": "file_name is invalid"})
        self.files.append((version, quote(path, safe=""), content))  # also where one of that name is there
        return {"message": "201 Created"}

    def get_file(self, version: str, path: str) -> bytes:
        found = [content for owner, name, content in self.files if (owner, name) == (version, quote(path, safe=""))]
        if not found:
            raise RefusedError(404, {"message": "404 Not Found"})
        return found[-1]

    def _model(self, name: str) -> Json:
        if name not in self.models:
            raise RefusedError(404, ABSENT)
        return self.models[name]

    def _run(self, body: Json) -> Json:
        if body["run_id"] not in self.runs:
            raise RefusedError(404, ABSENT)
        return self.runs[body["run_id"]]


MOUNTED: dict[tuple[str, str], Callable[[Registry, Json], Json]] = {
    ("GET", "mlflow/registered-models/get"): Registry.get_model,
    ("POST", "mlflow/registered-models/create"): Registry.create_model,
    ("PATCH", "mlflow/registered-models/update"): Registry.update_model,
    ("GET", "mlflow/registered-models/alias"): Registry.get_by_alias,
    ("POST", "mlflow/model-versions/create"): Registry.create_version,
    ("GET", "mlflow/runs/get"): Registry.get_run,
    ("POST", "mlflow/runs/log-batch"): Registry.log_batch,
    ("POST", "mlflow/runs/update"): Registry.update_run,
    ("GET", "mlflow-artifacts/artifacts"): Registry.list_files,
}
PACKAGE = re.compile(r"packages/ml_models/([0-9]+)/files/(.+)")


def answered(handler: "Handler", place: str, query: dict[str, str], content: bytes) -> Answer | None:
    """What the model registry answers, None where the call is none of its. Raises RefusedError where it says no."""
    package, prefix = PACKAGE.fullmatch(place), "ml/mlflow/api/2.0/"
    if not package and not place.startswith(prefix):
        return None
    _check_token(handler, package=bool(package))
    state = handler.server.state
    if package and handler.command == "PUT":
        return Answer(201, state.put_file(package[1], unquote(package[2]), content))
    if package and handler.command == "GET":
        if state.object_storage:
            elsewhere = f"http://localhost:{handler.server.server_port}/storage/{package[1]}/{unquote(package[2])}"
            return Answer(302, b"", {"Location": elsewhere})
        return Answer(200, state.get_file(package[1], unquote(package[2])))
    done = MOUNTED.get((handler.command, place.removeprefix(prefix)))
    if done is None:
        state.unmounted.append(f"{handler.command} {place}")
        raise RefusedError(404, {"error": "404 Not Found"})
    return Answer(200, done(state, query if handler.command == "GET" else json.loads(content)))


def _check_token(handler: "Handler", *, package: bool) -> None:
    """The registry says 401 to a guest who writes."""
    token = handler.token
    if token is None or (token.job and not package):
        raise RefusedError(401, {"message": "401 Unauthorized"})
    if handler.command == "GET":
        return
    if not token.job and "api" not in token.scopes:
        raise RefusedError(403, {"error": "insufficient_scope", "scope": "api"})
    if token.role <= GUEST_ROLE:
        raise RefusedError(401, {"message": "401 Unauthorized"})
