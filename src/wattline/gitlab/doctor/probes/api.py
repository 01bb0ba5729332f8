"""What GitLab's API says of our token and of the project."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

from wattline.gitlab.asking import Answer, ask, is_safe
from wattline.settings import Settings

KEPT = ("key", "masked", "protected", "variable_type", "environment_scope")
"""Members of a variable that are looked at. Its value is none of them."""
PAGE = 100
PAGES = 20
RUNNERS = 10
"""Looked at one by one."""


def questions(known: Settings) -> Mapping[str, Callable[[], Answer]]:
    """What is asked, by the names of the facts. Nothing without an address that a token may be sent to."""
    api, project = known.ci_api_v4_url, known.gitlab_address
    if not api or not is_safe(api):
        return {}
    api = api.rstrip("/")
    asked: dict[str, Callable[[], Answer]] = {}
    if known.ci_job_token is not None:
        asked["job"] = lambda: _with_job_token(known, f"{api}/job")
    if known.gitlab_token is None:
        return asked
    branch = quote(known.ci_default_branch, safe="")
    asked["token"] = lambda: _with_token(known, f"{api}/personal_access_tokens/self")
    asked["version"] = lambda: _with_token(known, f"{api}/version")
    if project is not None:
        asked["project"] = lambda: _with_token(known, project)
        asked["branch"] = lambda: _with_token(known, f"{project}/repository/branches/{branch}")
        asked["environments"] = lambda: _with_token(known, f"{project}/protected_environments")
        asked["variables"] = lambda: _variables(known, f"{project}/variables")
    return asked


def tags(known: Settings) -> dict[str, tuple[str, ...]]:
    """For each variable that names a tag: the tags that its jobs ask for, all of them at once."""
    more = {
        "WATTLINE_DATA_TAG": known.data_tag,
        "WATTLINE_VALIDATE_TAG": known.validate_tag,
        "WATTLINE_BUILD_TAG": known.build_tag,
        "WATTLINE_DEPLOY_TAG": known.deploy_tag,
    }
    shared = (known.runner_tag,) if known.runner_tag else ()
    asked = {variable: (*shared, tag) for variable, tag in more.items() if tag}
    return asked | ({"WATTLINE_HPC_TAG": (known.hpc_tag,)} if known.hpc_tag else {})


def runner_questions(known: Settings) -> Mapping[str, Callable[[], Answer]]:
    """For each variable that names a tag: which runners have what its jobs ask for, and take jobs."""
    project = known.gitlab_address
    if known.gitlab_token is None or project is None or not is_safe(project):
        return {}
    return {variable: _asks_for(known, f"{project}/runners", wanted) for variable, wanted in tags(known).items()}


def _asks_for(known: Settings, url: str, wanted: tuple[str, ...]) -> Callable[[], Answer]:
    query = {"tag_list": ",".join(wanted), "status": "online", "paused": "false"}
    return lambda: _with_details(known, _with_token(known, url, query))


def _with_details(known: Settings, listed: Answer) -> Answer:
    """The same runners, with what GitLab shows of each alone: which refs it takes."""
    if not listed.done or not isinstance(listed.body, list) or known.ci_api_v4_url is None:
        return listed
    root = known.ci_api_v4_url.rstrip("/")
    rows = [row for row in listed.body[:RUNNERS] if isinstance(row, dict)]
    details = [_with_token(known, f"{root}/runners/{row.get('id')}") for row in rows]
    return Answer(
        200, [{**row, "access_level": one.get("access_level")} for row, one in zip(rows, details, strict=True)]
    )


def _variables(known: Settings, url: str) -> Answer:
    """All variables of the project, without their values."""
    rows: list[dict[str, object]] = []
    for page in range(1, PAGES + 1):
        answer = _with_token(known, url, {"per_page": str(PAGE), "page": str(page)})
        if not answer.done or not isinstance(answer.body, list):
            return Answer(answer.status, None, answer.headers, answer.trouble)
        rows += [{name: row.get(name) for name in KEPT} for row in answer.body if isinstance(row, dict)]
        if len(answer.body) < PAGE:
            break
    return Answer(200, rows)


def _with_token(known: Settings, url: str, query: Mapping[str, str] | None = None) -> Answer:
    token = known.gitlab_token.get_secret_value().strip() if known.gitlab_token else ""
    if not token.isascii() or not token.isprintable() or " " in token:
        return Answer(status=401)  # it cannot be sent in a header, and no token is like that
    return ask(url, headers={"Authorization": f"Bearer {token}"}, query=query, authority=known.ci_server_tls_ca_file)


def _with_job_token(known: Settings, url: str) -> Answer:
    token = known.ci_job_token.get_secret_value() if known.ci_job_token else ""
    return ask(url, headers={"JOB-TOKEN": token}, authority=known.ci_server_tls_ca_file)
