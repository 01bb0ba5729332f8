"""What the stand-in holds for one project, and what was asked of it."""

import base64
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitlab.standin import tokens
from gitlab.standin.calls import Fault, Json
from gitlab.standin.mlflow import Registry
from gitlab.standin.tokens import Token

PROJECT = "42"
PATH = "energy/models"
SAID = (
    "project",
    "branches",
    "tags",
    "protected_branches",
    "environments",
    "protected_environments",
    "variables",
    "runners",
    "merge_requests",
    "notes",
    "commands",
    "pipelines",
    "pipeline_variables",
    "jobs",
    "releases",
    "pages",
    "repositories",
)
"""What a file of the state holds and a test may set in one, besides what is bytes."""


class State(Registry):
    """Everything a test may set before and read after.

    Rows are as GitLab's API shows them. The token's own bot is a member; merge request 7 is open.
    notes: of all merge requests, each with `noteable_iid`; commands: quick actions that notes executed, as their text
    uploads: "<secret>/<file>" -> bytes; packages: "<name>/<version>/<file>" -> bytes
    pipeline_variables: id of a pipeline -> rows; protected_environments: None as on the free tier
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, Token] = tokens.known()
        self.calls: list[tuple[str, str]] = []
        self.unmounted: list[str] = []
        self.faults: list[Fault] = []
        self.project: Json = project()
        self.branches: list[Json] = [{"name": "main", "commit": {"id": "a" * 40}, "default": True}]
        self.branches += [{"name": "topic/new-scale", "commit": {"id": "b" * 40}, "default": False}]
        self.tags: list[Json] = []
        self.protected_branches: list[Json] = [protection("main")]
        self.environments: list[Json] = []
        self.protected_environments: list[Json] | None = None
        self.variables: list[Json] = []
        self.runners: list[Json] = [runner(1, "docker")]
        self.merge_requests: list[Json] = [merge_request()]
        self.notes: list[Json] = []
        self.commands: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.packages: dict[str, bytes] = {}
        self.pipelines: list[Json] = []
        self.pipeline_variables: dict[str, list[Json]] = {}
        self.jobs: list[Json] = []
        self.releases: list[Json] = []
        self.pages: Json | None = None
        self.repositories: list[Json] = []
        self.job: Json = {"id": 9001, "name": "note", "status": "running", "ref": "topic/new-scale"}

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def fault(self, method: str, route: str, *, late: bool) -> Fault | None:
        for one in self.faults:
            if one.times and one.late is late and one.method in ("", method) and re.search(one.route, route):
                one.times -= 1
                return one
        return None

    def dumped(self) -> Json:
        """All of it as JSON; bytes are in base64."""
        said = {name: getattr(self, name) for name in SAID}
        held = {"uploads": self.uploads, "packages": self.packages}
        packed = {
            name: {key: base64.b64encode(one).decode() for key, one in kept.items()} for name, kept in held.items()
        }
        registry = {"models": self.models, "versions": self.versions, "runs": self.runs}
        return said | packed | registry | {"calls": self.calls, "unmounted": self.unmounted}

    def save(self, path: Path) -> None:
        """Write it at once, so that another process never reads half of it."""
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(json.dumps(self.dumped(), indent=1))
        fresh.replace(path)

    def load(self, said: Json) -> None:
        """Take what a file sets: any of the names in SAID, `tokens` (token -> fields of Token), and bytes as saved."""
        for name in set(SAID) & set(said):
            setattr(self, name, said[name])
        for token, fields in said.get("tokens", {}).items():
            before = asdict(self.tokens[token]) if token in self.tokens else {}
            self.tokens[token] = Token(**(before | fields))
        for name in ("uploads", "packages"):
            getattr(self, name).update({key: base64.b64decode(one) for key, one in said.get(name, {}).items()})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def project() -> Json:
    """The settings of a project as GitLab makes it today, but for a job token that may push."""
    return {
        "id": int(PROJECT),
        "name": "models",
        "path_with_namespace": PATH,
        "web_url": f"https://gitlab.example.org/{PATH}",
        "default_branch": "main",
        "visibility": "private",
        "archived": False,
        "ci_default_git_depth": 20,
        "ci_forward_deployment_enabled": True,
        "ci_forward_deployment_rollback_allowed": True,
        "ci_push_repository_for_job_token_allowed": True,
        "ci_job_token_scope_enabled": False,
        "ci_separated_caches": True,
        "ci_allow_fork_pipelines_to_run_in_parent_project": True,
        "ci_pipeline_variables_minimum_override_role": "developer",
        "auto_cancel_pending_pipelines": "enabled",
        "build_timeout": 3600,
        "only_allow_merge_if_pipeline_succeeds": True,
        "allow_merge_on_skipped_pipeline": False,
        "builds_access_level": "enabled",
        "environments_access_level": "enabled",
        "releases_access_level": "enabled",
        "pages_access_level": "private",
        "container_registry_access_level": "enabled",
        "container_registry_enabled": True,
        "container_registry_image_prefix": f"registry.example.org/{PATH}",
        "packages_enabled": True,
        "model_registry_access_level": "enabled",
        "shared_runners_enabled": True,
        "merge_method": "merge",
    }


def protection(name: str, *, push: int = 40, merge: int = 30) -> Json:
    """A protected branch: who may push to it and merge into it, as levels of access."""
    return {
        "id": 1,
        "name": name,
        "push_access_levels": [{"id": 1, "access_level": push, "access_level_description": "..."}],
        "merge_access_levels": [{"id": 1, "access_level": merge, "access_level_description": "..."}],
        "allow_force_push": False,
        "code_owner_approval_required": False,
    }


def runner(number: int, *tags: str, status: str = "online", protected: bool = False) -> Json:
    """A project runner; `tag_list` and `access_level` are shown where one runner is asked for, as in GitLab."""
    return {
        "id": number,
        "description": f"runner {number}",
        "active": True,
        "paused": False,
        "is_shared": False,
        "runner_type": "project_type",
        "online": status == "online",
        "status": status,
        "tag_list": list(tags),
        "run_untagged": True,
        "locked": False,
        "access_level": "ref_protected" if protected else "not_protected",
    }


def merge_request(iid: int = 7, **fields: Any) -> Json:
    """An open merge request within the project."""
    return {
        "id": 1000 + iid,
        "iid": iid,
        "project_id": int(PROJECT),
        "title": "Scale by unit",
        "state": "opened",
        "draft": False,
        "source_branch": "topic/new-scale",
        "target_branch": "main",
        "source_project_id": int(PROJECT),
        "target_project_id": int(PROJECT),
        "sha": "b" * 40,
        "merge_commit_sha": None,
        "squash_commit_sha": None,
        "author": {"id": 1, "username": "ada", "name": "Ada", "state": "active"},
        "discussion_locked": None,
        "labels": [],
        "web_url": f"https://gitlab.example.org/{PATH}/-/merge_requests/{iid}",
    } | fields
