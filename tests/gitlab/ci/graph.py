"""What is wrong with a pipeline whatever the event: stages, needs, circles, empty jobs, bad expressions."""

import re
from collections.abc import Iterator
from typing import Any

from gitlab.ci.configuration import KEYWORDS, Pipeline
from gitlab.ci.expressions import BadExpressionError, evaluate

MAX_NEEDS = 50
"""GitLab's limit."""
EXPOSED = re.compile(r"\w[-\w ]{0,99}", re.ASCII)
"""What GitLab takes as `expose_as`; it refuses the whole file because of a comma there."""


def findings(pipeline: Pipeline) -> list[str]:
    """One line for each mistake, none where GitLab would accept it."""
    found = [f"workflow: {line}" for line in _expressions(pipeline.workflow.get("rules", []))]
    for name, job in pipeline.jobs.items():
        found += [f"{name}: {line}" for line in _of_job(job, pipeline)]
    return found + [f"in a circle: {' > '.join(circle)}" for circle in _circles(pipeline)]


def needed(job: dict[str, Any]) -> list[str]:
    """Names of the jobs that must be done before."""
    return [need if isinstance(need, str) else need["job"] for need in job.get("needs", [])]


def _of_job(job: dict[str, Any], pipeline: Pipeline) -> Iterator[str]:
    if not (job.get("script") or "trigger" in job or "run" in job):
        yield "has neither script nor trigger"
    if job.get("stage", "test") not in pipeline.stages:
        yield f"stage {job.get('stage', 'test')} does not exist"
    yield from (f"needs {name}, which does not exist" for name in needed(job) if name not in pipeline.jobs)
    if len(needed(job)) > MAX_NEEDS:
        yield f"needs more than {MAX_NEEDS} jobs"
    yield from _expressions(job.get("rules", []))
    yield from _environment(job, pipeline)
    yield from _trigger(job)
    exposed = job.get("artifacts", {}).get("expose_as")
    if exposed is not None and not EXPOSED.fullmatch(exposed):
        yield f"expose_as: {exposed!r} may hold letters, digits, _, - and spaces only"


def _expressions(rules: list[dict[str, Any]]) -> Iterator[str]:
    for rule in rules:
        try:
            evaluate(rule.get("if", "null"), {})
        except BadExpressionError as error:
            yield str(error)


def _environment(job: dict[str, Any], pipeline: Pipeline) -> Iterator[str]:
    """`on_stop` names a job that stops the same environment, and that a person or GitLab can start."""
    environment = job.get("environment", {})
    stop = environment.get("on_stop")
    if stop is None:
        return
    other = pipeline.jobs.get(stop, {}).get("environment", {})
    if other.get("action") != "stop" or other.get("name") != environment["name"]:
        yield f"on_stop: {stop} does not stop {environment['name']}"


def _trigger(job: dict[str, Any]) -> Iterator[str]:
    """A child pipeline is made of a file that a job before it leaves."""
    if "trigger" in job and "script" in job:
        yield "has both script and trigger"
    for entry in job.get("trigger", {}).get("include", []):
        if "artifact" in entry and entry["job"] not in needed(job):
            yield f"includes what {entry['job']} leaves without needing it"


def _circles(pipeline: Pipeline) -> Iterator[list[str]]:
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :], name]
        elif name not in done and name in pipeline.jobs:
            for need in needed(pipeline.jobs[name]):
                yield from walk(need, [*path, name])
            done.add(name)

    for name in pipeline.jobs:
        yield from walk(name, [])


def reserved(pipeline: Pipeline) -> set[str]:
    """Keywords of GitLab that somebody gave a job as its name: it is then no job, and nobody says so."""
    return {name for name in KEYWORDS & set(pipeline.raw) if _is_job(pipeline.raw[name])}


def _is_job(entry: Any) -> bool:
    return isinstance(entry, dict) and bool({"script", "stage", "needs", "trigger"} & set(entry))
