"""The steps of a push: each looks at what GitLab holds, and adds only what it lacks."""

import time

from wattline.errors import IntegrityError, WattlineError
from wattline.gitlab.answers import RefusedError, Reply
from wattline.registry.mirror.contents import CONTENT, VERSION, Contents, semantic
from wattline.registry.mirror.gitlab import GitLab

Rows = list[dict[str, str | float | int]]


def ensure_model(gitlab: GitLab, name: str) -> list[str]:
    """Make the model. Gives what was done, as do the other steps."""
    if _model(gitlab, name) is not None:
        return []
    try:
        gitlab.change("POST", "registered-models/create", {"name": name})
    except RefusedError as error:
        # Also GitLab's answer to a name that it does not take.
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise
    if _model(gitlab, name) is None:
        raise WattlineError(f"{gitlab.place} made no model {name!r}; an experiment may have that name, rename one")
    return [f"model {name}"]


def ensure_version(gitlab: GitLab, contents: Contents) -> list[str]:
    """Make the version with its tags: GitLab takes none afterwards."""
    if _version(gitlab, contents) is not None:
        return []
    tags = {**contents.tags, CONTENT: contents.digest, VERSION: contents.number}
    body = {
        "name": contents.name,
        "description": f"Version {contents.version} of {contents.name}, mirrored. What it rests on is in reports/ and "
        "cards/; SHA-256 of its files are in candidate/candidate.json and signed in statement.dsse.json.",
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    try:
        gitlab.change("POST", "model-versions/create", body)
    except RefusedError:
        # It may have been made since it was looked for, also by a call whose answer was lost; what it is of is checked.
        if _version(gitlab, contents) is None:
            raise
    return [f"version {contents.number}"]


def same_version(gitlab: GitLab, contents: Contents) -> Reply:
    """The version in GitLab. Raises IntegrityError when it was made of something else."""
    found = _version(gitlab, contents) or {}
    tags = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", [])}
    if tags.get(CONTENT) != contents.digest:
        raise _other(contents, f"content {tags.get(CONTENT, 'unknown')[:12]} and not {contents.digest[:12]}")
    return found


def ensure_files(gitlab: GitLab, number: str, contents: Contents) -> list[str]:
    """Upload what is not there, after what is there was compared; each upload is read back.

    number: GitLab's own of the version
    """
    there = set(gitlab.files(number))
    for name in sorted(there):
        if name not in contents.digests:
            raise _other(contents, f"the file {name}, which the version does not have")
        _check_file(gitlab, number, name, contents)
    missing = [name for name in contents.digests if name not in there]
    for name in missing:
        gitlab.put(number, name, contents.sources[name])
        _check_file(gitlab, number, name, contents)
    return missing


def ensure_run(gitlab: GitLab, run_id: str, contents: Contents) -> list[str]:
    """Log what the run of the version lacks, then say that it is complete."""
    changes = []
    lacking = _lacking(gitlab, run_id, contents)
    if lacking:
        body = {"run_id": run_id, **lacking}
        gitlab.change("POST", "runs/log-batch", body, done=lambda: not _lacking(gitlab, run_id, contents))
        changes += list(lacking)
    if _run(gitlab, run_id)["info"]["status"] != "FINISHED":
        gitlab.change("POST", "runs/update", {"run_id": run_id, "status": "FINISHED"})
        changes.append("status of the run")
    return changes


def ensure_description(gitlab: GitLab, name: str, champion: str) -> list[str]:
    """Say which version is champion. It carries no date, so that saying the same again changes nothing."""
    text = (
        f"Mirror of the registered model {name}: version n of the registry is n.0.0 here. GitLab holds no aliases; "
        f"when this text was last written, the champion was version {champion} ({semantic(champion)})."
    )
    if (_model(gitlab, name) or {}).get("description") == text:
        return []
    gitlab.change("PATCH", "registered-models/update", {"name": name, "description": text})
    return [f"champion {semantic(champion)} in the description"]


def _model(gitlab: GitLab, name: str) -> Reply | None:
    found = gitlab.find("registered-models/get", {"name": name})
    return None if found is None else dict(found["registered_model"])


def _version(gitlab: GitLab, contents: Contents) -> Reply | None:
    """The version with this SemVer, which is the one alias that GitLab knows."""
    found = gitlab.find("registered-models/alias", {"name": contents.name, "alias": contents.number})
    return None if found is None else dict(found["model_version"])


def _run(gitlab: GitLab, run_id: str) -> Reply:
    found = gitlab.find("runs/get", {"run_id": run_id})
    if found is None:
        raise WattlineError(f"{gitlab.place} lost the run {run_id}; delete its version there and push again")
    return dict(found["run"])


def _lacking(gitlab: GitLab, run_id: str, contents: Contents) -> dict[str, Rows]:
    """Params and metrics that the run does not hold yet: GitLab would keep a metric twice."""
    data = _run(gitlab, run_id).get("data", {})
    now = time.time_ns() // 1_000_000
    wanted: dict[str, Rows] = {
        "params": [{"key": key, "value": value} for key, value in contents.params.items()],
        "metrics": [{"key": key, "value": one, "timestamp": now, "step": 0} for key, one in contents.metrics.items()],
    }
    there = {kind: {one["key"] for one in data.get(kind, [])} for kind in wanted}
    rest = {kind: [row for row in rows if row["key"] not in there[kind]] for kind, rows in wanted.items()}
    return {kind: rows for kind, rows in rest.items() if rows}


def _check_file(gitlab: GitLab, number: str, name: str, contents: Contents) -> None:
    digest = gitlab.digest(number, name)
    if digest != contents.digests[name]:
        raise _other(contents, f"{name} with SHA-256 {digest[:12]} and not {contents.digests[name][:12]}")


def _other(contents: Contents, what: str) -> IntegrityError:
    return IntegrityError(
        f"version {contents.number} of {contents.name} in GitLab holds {what}; "
        "nothing was replaced, delete it there and push again"
    )
