"""Checks of the project's settings and of the GitLab it lives on."""

import re

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "settings"
VERSION = Subject(GROUP, "GitLab's version")
BRANCH = Subject(GROUP, "default branch", "protected")
PRODUCTION = Subject(GROUP, "environment production", "protected")
PAGES = Subject(GROUP, "Pages")
VARIABLES = Subject(GROUP, "variables of pipelines")
PARENT = Subject(GROUP, "pipelines of forks in this project")
OLDEST = (18, 4)
"""The first GitLab in which a job token may push without a feature flag."""
PROTECT = "protect it under Settings > Repository > Protected branches"


def version(facts: Facts) -> Finding | None:
    """Is GitLab new enough?"""
    asked = facts.version.get("version") if facts.version else None
    text = facts.known.ci_server_version or asked
    found = re.match(r"(\d+)\.(\d+)", text) if isinstance(text, str) else None
    if found is None:
        return VERSION.unknown("CI_SERVER_VERSION is not set and GitLab was not asked")
    if (int(found[1]), int(found[2])) < OLDEST:
        return VERSION.wrong(
            facts.needs,
            f"is {text}; a job token pushes dvc.lock from {OLDEST[0]}.{OLDEST[1]} on",
            "update GitLab, or commit dvc.lock by hand",
        )
    return VERSION.ok(str(text))


def default_branch(facts: Facts) -> Finding | None:
    """Can only those push to the default branch who may?"""
    answer, name = facts.branch, facts.known.ci_default_branch
    if answer is None or answer.trouble or answer.status in (401, 403):
        return BRANCH.unknown(f"whether {name} is protected cannot be seen without WATTLINE_GITLAB_TOKEN")
    if answer.status == 404:
        return BRANCH.wrong(facts.needs, f"{name} is not there", "push it, and " + PROTECT)
    if answer.get("protected") is True:
        return BRANCH.ok(f"{name} is protected")
    if answer.get("protected") is False:
        return BRANCH.wrong(facts.needs, f"{name} is not protected: its pipelines get no protected variable", PROTECT)
    return BRANCH.unknown(f"GitLab answered {answer.status} when asked for {name}")


def production(facts: Facts) -> Finding | None:
    """Can only those promote who may?"""
    answer = facts.environments
    guarded = facts.branch is not None and facts.branch.get("protected") is True
    by_branch = f"who may merge to {facts.known.ci_default_branch}, which is protected, may promote"
    if answer is None or answer.trouble or not (answer.done or answer.status == 404):
        return PRODUCTION.unknown(f"only a Maintainer's token may see it{f'; {by_branch} at most' if guarded else ''}")
    rows = answer.body if answer.done and isinstance(answer.body, list) else []
    if any(isinstance(row, dict) and row.get("name") == "production" for row in rows):
        return PRODUCTION.ok("is protected")
    if not guarded:
        return PRODUCTION.wrong(
            facts.needs, "anybody who may push may promote", f"as for the default branch: {PROTECT}"
        )
    if answer.done:
        return PRODUCTION.warning(f"is not protected; {by_branch}", "Settings > CI/CD > Protected environments")
    return PRODUCTION.ok(f"this GitLab protects no environments (Premium); {by_branch}")


def pages(facts: Facts) -> Finding | None:
    """Is there a place for the report site?"""
    level = facts.project.get("pages_access_level") if facts.project else None
    if level == "disabled":
        return PAGES.warning(
            "are off: the report site is not published",
            "Settings > General > Visibility, project features, permissions > Pages",
        )
    if facts.known.ci_pages_url:
        return PAGES.ok(f"{facts.known.ci_pages_url}")
    if facts.known.ci and facts.project is not None and facts.project.done:
        return PAGES.warning("CI_PAGES_URL is not set: this GitLab has no Pages", "ask who runs it")
    return PAGES.unknown("CI_PAGES_URL is set in jobs only")


def pipeline_variables(facts: Facts) -> Finding | None:
    """May a Developer's token say of the pipeline that it starts why it retrains?"""
    least = facts.project.get("ci_pipeline_variables_minimum_override_role") if facts.project else None
    if least is None:
        return None
    if least != "developer":
        return VARIABLES.warning(
            f"may be set by {str(least).replace('_', ' ')} only: `wattline monitor` opens no retraining",
            "Settings > CI/CD > Variables > Minimum role to use pipeline variables: Developer",
        )
    return VARIABLES.ok("may be set by a Developer's token")


def fork_pipelines(facts: Facts) -> Finding | None:
    """Does nobody run a stranger's code with this project's variables by accident?"""
    allowed = facts.project.get("ci_allow_fork_pipelines_to_run_in_parent_project") if facts.project else None
    if allowed is None:
        return None
    if allowed:
        return PARENT.warning(
            "a member can run a fork's code with this project's variables",
            "clear Settings > CI/CD > General pipelines > Run pipelines in the parent project",
        )
    return PARENT.ok("are off")
