"""Which jobs a pipeline has for an event: `workflow:rules` first, then the rules of each job."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitlab.ci.configuration import BadPipelineError, Pipeline
from gitlab.ci.expressions import evaluate


@dataclass(frozen=True)
class Event:
    """What happened, as GitLab tells it.

    variables: predefined ones and those of the project
    changed: paths that differ from what GitLab compares with by itself; None where it compares with nothing
    compared: ref -> the same for `compare_to`
    """

    variables: Mapping[str, str]
    changed: list[str] | None = None
    compared: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A job of the pipeline: when it starts, and whether its failure counts."""

    name: str
    stage: str
    when: str
    may_fail: bool

    def __str__(self) -> str:
        remarks = ([] if self.when == "on_success" else [self.when]) + (["may fail"] if self.may_fail else [])
        return f"{self.name} ({', '.join(remarks)})" if remarks else self.name


def plan(pipeline: Pipeline, event: Event) -> list[Planned]:
    """The jobs of the event's pipeline by stage; none where no pipeline starts.

    Raises BadPipelineError for a job that needs another which this pipeline does not have: GitLab refuses it.
    """
    variables = started(pipeline, event)
    if variables is None:
        return []
    found = [planned for name, job in pipeline.jobs.items() if (planned := _planned(name, job, variables, event))]
    there = {planned.name for planned in found}
    for planned in found:
        for need in pipeline.jobs[planned.name].get("needs", []):
            name, optional = (need, False) if isinstance(need, str) else (need["job"], need.get("optional", False))
            if name not in there and not optional:
                raise BadPipelineError(f"{planned.name} needs {name}, which this pipeline does not have")
    return sorted(found, key=lambda planned: pipeline.stages.index(planned.stage))


def started(pipeline: Pipeline, event: Event) -> dict[str, str] | None:
    """The variables of the event's pipeline; None where the event starts none."""
    variables = pipeline.variables | dict(event.variables)
    if "rules" not in pipeline.workflow:
        return variables
    rule = first(pipeline.workflow["rules"], variables, event)
    if rule is None or rule.get("when") == "never":
        return None
    return pipeline.variables | rule.get("variables", {}) | dict(event.variables)


def first(rules: list[dict[str, Any]], variables: Mapping[str, str], event: Event) -> dict[str, Any] | None:
    """The first rule that applies."""
    return next((rule for rule in rules if _applies(rule, variables, event)), None)


def _planned(name: str, job: dict[str, Any], variables: Mapping[str, str], event: Event) -> Planned | None:
    when, may_fail = job.get("when", "on_success"), bool(job.get("allow_failure", job.get("when") == "manual"))
    if "rules" in job:
        # Of a job's own variables, GitLab's rules see those that are set in YAML, too.
        seen = {key: str(value) for key, value in job.get("variables", {}).items()} | dict(variables)
        rule = first(job["rules"], seen, event)
        when = "never" if rule is None else rule.get("when", when)
        may_fail = bool((rule or {}).get("allow_failure", may_fail))
    return None if when == "never" else Planned(name, job.get("stage", "test"), when, may_fail)


def _applies(rule: dict[str, Any], variables: Mapping[str, str], event: Event) -> bool:
    if set(rule) - {"if", "changes", "when", "allow_failure", "variables"}:
        raise BadPipelineError(f"this test does not know all of {rule}")
    if "if" in rule and not evaluate(rule["if"], variables):
        return False
    return "changes" not in rule or _changed(rule["changes"], variables, event)


def _changed(changes: Any, variables: Mapping[str, str], event: Event) -> bool:
    paths, changed = changes, event.changed
    if isinstance(changes, dict):
        paths = changes["paths"]
        if "compare_to" in changes:
            ref = re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], ""), changes["compare_to"])
            if ref not in event.compared:
                raise BadPipelineError(f"compare_to: {changes['compare_to']} is not a valid ref: {ref!r}")
            changed = event.compared[ref]
    # Where GitLab has nothing to compare with, it takes everything as changed.
    return changed is None or any(matches(glob, path) for glob in paths for path in changed)


def matches(glob: str, path: str) -> bool:
    """Ruby's File.fnmatch with FNM_PATHNAME, FNM_DOTMATCH and FNM_EXTGLOB, as GitLab calls it."""
    parts = re.split(r"(\*\*/|\*|\?|\{[^{}]*\})", glob)
    return re.fullmatch("".join(_translated(part) for part in parts), path) is not None


def _translated(part: str) -> str:
    if part.startswith("{"):
        return f"(?:{'|'.join(re.escape(one) for one in part[1:-1].split(','))})"
    return {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
