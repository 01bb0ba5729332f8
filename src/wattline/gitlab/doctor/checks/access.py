"""Checks of what lets jobs into GitLab: our token, the job's own, and what they may do."""

from datetime import date, timedelta

from wattline.gitlab.asking import TELLS, Answer, is_safe, shown
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "GitLab"
ADDRESS = Subject(GROUP, "CI_API_V4_URL", "api")
TOKEN = Subject(GROUP, "WATTLINE_GITLAB_TOKEN", "api")
ROLE = Subject(GROUP, "role of WATTLINE_GITLAB_TOKEN", "api")
JOB = Subject(GROUP, "CI_JOB_TOKEN")
PUSH = Subject(GROUP, "push with CI_JOB_TOKEN")
FORK = Subject(GROUP, "secrets in a fork's merge request", "fork")
DEVELOPER, MAINTAINER = 30, 40
ROLES = {10: "Guest", 15: "Planner", 20: "Reporter", 30: "Developer", 40: "Maintainer", 50: "Owner"}
DAYS_LEFT = 14
MAKE = (
    "make a project access token of scope `api` and role Developer under Settings > Access tokens, and set it under "
    "Settings > CI/CD > Variables, masked and not protected"
)
REFUSALS = {
    401: "is not accepted: revoked, expired, or of another GitLab (401)",
    403: "has a scope that may not even ask about itself (403)",
}
ALLOW = "Settings > CI/CD > Job token permissions > Allow Git push requests to the repository"
OWN = frozenset({"CI_JOB_TOKEN", "CI_REPOSITORY_URL", "CI_REGISTRY_PASSWORD", "VAULT_ID_TOKEN"})
"""Secrets that GitLab makes for the job itself; they open nothing once it has ended."""


def address(facts: Facts) -> Finding | None:
    """Is there a GitLab, and does it answer?"""
    url = facts.known.ci_api_v4_url
    if not url:
        return ADDRESS.unknown("is not set, as outside of a GitLab job", "set CI_API_V4_URL and CI_PROJECT_ID to ask")
    if not is_safe(url):
        return ADDRESS.wrong(
            facts.needs,
            f"{shown(url)} is not HTTPS, so no token is sent",
            "give GitLab an HTTPS address (external_url)",
        )
    answers = [one for one in (facts.token, facts.job) if one is not None]
    if not answers:
        return ADDRESS.unknown("was not asked, there is no token to ask with")
    if all(one.trouble for one in answers):
        remedy = "check the runner's way to GitLab"
        if answers[0].trouble in ("certificate", "authority"):
            remedy = "set CI_SERVER_TLS_CA_FILE to a file with the certificate of who vouches for it"
        return ADDRESS.wrong(facts.needs, f"{shown(url)} {TELLS[answers[0].trouble]}", remedy)
    return ADDRESS.ok(f"{shown(url)} answers")


def token(facts: Facts) -> Finding | None:
    """Is the token there, accepted, of the right scope, and not about to expire?"""
    if facts.known.gitlab_token is None:
        return _no_token(facts)
    answer = facts.token
    if answer is None or answer.trouble:
        return TOKEN.unknown("is set; GitLab was not reached to ask about it")
    if answer.status in REFUSALS:
        return TOKEN.wrong(facts.needs, REFUSALS[answer.status], MAKE)
    if not answer.done or not isinstance(answer.get("scopes"), list):
        return TOKEN.unknown(f"is set; GitLab answered {answer.status} when asked about it")
    return _scopes(facts, answer)


def _no_token(facts: Facts) -> Finding:
    if facts.kind == "fork":
        return TOKEN.ok("is not given to a fork's merge request, as it must be")
    if facts.in_vault:
        return TOKEN.unknown("is not set here; Vault may hold it")
    return TOKEN.missing(facts.needs, "is not set: no note, no settings to be seen", MAKE)


def _scopes(facts: Facts, answer: Answer) -> Finding:
    scopes, expires = answer.get("scopes"), answer.get("expires_at")
    if "api" not in scopes:
        return TOKEN.wrong(facts.needs, f"has scope {', '.join(map(str, scopes)) or 'nothing'} and needs `api`", MAKE)
    if answer.get("revoked") or answer.get("active") is False:
        return TOKEN.wrong(facts.needs, "is revoked or expired", MAKE)
    until = date.fromisoformat(expires) if isinstance(expires, str) else None
    if until is not None and until <= facts.now.date() + timedelta(days=DAYS_LEFT):
        if until <= facts.now.date():
            return TOKEN.wrong(facts.needs, f"has expired on {until}", MAKE)
        return TOKEN.warning(f"expires on {until}", "rotate it under Settings > Access tokens, and set the new one")
    return TOKEN.ok(f"scope api, {f'until {until}' if until else 'without an end'}")


def role(facts: Facts) -> Finding | None:
    """May the token write here?"""
    if facts.known.gitlab_token is None or facts.project is None or facts.project.trouble:
        return None
    if facts.project.status == 404:
        return ROLE.wrong(facts.needs, "the token may not see this project (404)", "take a token of this project")
    level = facts.role
    if level is None:
        return ROLE.unknown(f"GitLab answered {facts.project.status} without it")
    name = ROLES.get(level, str(level))
    if level < DEVELOPER:
        return ROLE.wrong(facts.needs, f"is {name} and must be Developer", MAKE)
    more = "" if level >= MAINTAINER else "; variables, runners and some settings can be seen by a Maintainer only"
    return ROLE.ok(f"{name}{more}")


def job_token(facts: Facts) -> Finding | None:
    """Is this a job, and does GitLab take its token?"""
    if facts.known.ci_job_token is None and facts.kind == "none":
        return JOB.unknown("there is none outside of a GitLab job")
    if facts.known.ci_job_token is None:
        return JOB.missing(facts.needs, "is not set", "GitLab sets it for each job; look who unsets it")
    if facts.job is None or facts.job.trouble:
        return JOB.unknown("is set; GitLab was not reached to ask about it")
    if facts.job.status in (401, 403):
        return JOB.wrong(
            facts.needs, f"is not accepted ({facts.job.status})", "run the job again: it ends with its job"
        )
    return JOB.ok("is accepted") if facts.job.done else JOB.unknown(f"GitLab answered {facts.job.status}")


def push(facts: Facts) -> Finding | None:
    """May a job commit dvc.lock back to its branch?"""
    if facts.kind == "fork":
        return None
    if facts.project is None or not facts.project.done:
        return PUSH.unknown("the project's settings cannot be seen without WATTLINE_GITLAB_TOKEN", f"look at {ALLOW}")
    allowed = facts.project.get("ci_push_repository_for_job_token_allowed")
    if allowed is None:
        return PUSH.unknown("GitLab does not show this setting to this token", f"look at {ALLOW}")
    if not allowed:
        return PUSH.wrong(facts.needs, "is not allowed, so dvc.lock cannot be committed back", f"tick {ALLOW}")
    return PUSH.ok("is allowed")


def fork(facts: Facts) -> Finding | None:
    """Is a merge request from outside given no secret of this project?"""
    known = facts.known
    if facts.kind != "fork" or known.ci_project_path == known.ci_merge_request_source_project_path:
        return None  # what runs in the fork itself has the fork's own variables
    given = sorted(known.given.keys() - OWN)
    if given:
        return FORK.wrong(
            facts.needs,
            f"{known.ci_merge_request_source_project_path} is given {', '.join(given)}",
            "somebody ran its pipeline in this project: read its change first, and clear Settings > CI/CD > General "
            "pipelines > Run pipelines in the parent project; protect what merge requests do not need",
        )
    return FORK.ok("none is given")
