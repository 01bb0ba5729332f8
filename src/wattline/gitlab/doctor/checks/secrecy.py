"""Checks of variables that hold secrets: masked, protected, and files where they should be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "variables"
PLACE = "Settings > CI/CD > Variables"


@dataclass(frozen=True)
class Rule:
    """How a variable must be set.

    masked: its value is kept out of logs; a file of several lines cannot be
    protected: True: on protected branches and tags only; False: merge requests need it, too; None: either
    file: GitLab writes it to a file and gives jobs the path
    """

    masked: bool = True
    protected: bool | None = None
    file: bool = False


RULES = {
    "WATTLINE_GITLAB_TOKEN": Rule(protected=False),
    "MLFLOW_TRACKING_PASSWORD": Rule(),
    "MLFLOW_TRACKING_TOKEN": Rule(),
    "WATTLINE_LEDGER_URI": Rule(protected=True),
    "WATTLINE_SIGNING_KEY": Rule(masked=False, protected=True, file=True),
    "WATTLINE_SIGNING_PASSPHRASE": Rule(protected=True),
    "WATTLINE_MODEL_SIGNING_KEY": Rule(masked=False, protected=True, file=True),
    "WATTLINE_REGISTRY_PASSWORD": Rule(protected=True),
    "WATTLINE_API_KEY": Rule(protected=True),
    "AWS_SECRET_ACCESS_KEY": Rule(),
    "AWS_SESSION_TOKEN": Rule(),
    "WATTLINE_REDFISH_PASSWORD": Rule(),
    "WATTLINE_PROMETHEUS_TOKEN": Rule(),
    "WATTLINE_PROMETHEUS_PASSWORD": Rule(),
}
"""Only those that are set at the project are judged; groups and the instance have variables, too."""


def judge(name: str, rule: Rule, facts: Facts) -> Finding | None:
    """How the variable `name` is set; None where the project does not set it."""
    if facts.variables is None or not isinstance(facts.variables.body, list):
        return None
    found = [row for row in facts.variables.body if row.get("key") == name]
    if not found:
        return None
    subject = Subject(GROUP, name)
    lacks = sorted({lack for row in found for lack in _lacks(row, rule)})
    if lacks:
        return subject.warning(f"must be {', '.join(lacks)}", f"edit it under {PLACE}")
    return subject.ok(f"is {', '.join(_has(rule))}")


def visible(facts: Facts) -> Finding | None:
    """Can variables be seen at all?"""
    subject = Subject(GROUP, "how secrets are set")
    if facts.variables is None or facts.variables.trouble:
        return subject.unknown("GitLab was not asked") if facts.kind != "fork" else None
    if not isinstance(facts.variables.body, list):
        return subject.unknown(
            f"the token may not see variables ({facts.variables.status}), a Maintainer's may",
            f"look whether {', '.join(sorted(RULES))} are masked and protected under {PLACE} as docs/gitlab.md says",
        )
    return subject.ok("variables of the project can be seen; those of its groups and of the instance cannot")


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    visible,
    *(partial(judge, name, rule) for name, rule in RULES.items()),
)


def _lacks(row: dict[str, Any], rule: Rule) -> list[str]:
    lacks = ["masked"] if rule.masked and not row.get("masked") else []
    if rule.file and row.get("variable_type") != "file":
        lacks.append("of type File")
    if rule.protected is not None and bool(row.get("protected")) is not rule.protected:
        lacks.append("protected" if rule.protected else "not protected (merge requests need it)")
    return lacks


def _has(rule: Rule) -> list[str]:
    protected = {True: ["protected"], False: ["not protected"], None: []}[rule.protected]
    return [*(["masked"] if rule.masked else []), *protected, *(["a file"] if rule.file else [])]
