"""A pipeline that trains anew, opened in GitLab: one for each cool-down, whoever else is looking.

GitLab itself is asked whether there is one, since a runner keeps nothing. A pipeline is known by the name that
.gitlab-ci.yml gives it (`workflow:name`), and where it has none by its variables: those of pipelines that it started
itself are shown to a token of role Developer, those of others are not. What cannot be told apart counts as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wattline.errors import InputError
from wattline.gitlab.answers import AccessError, RefusedError, Reply
from wattline.gitlab.project import Project
from wattline.monitoring.records import Decision, Retraining

NAME = "retrain"
"""How the name of such a pipeline begins."""
VARIABLE, REASON = "WATTLINE_RETRAIN", "WATTLINE_RETRAIN_REASON"
LONGEST_REASON = 170
"""Characters; a pipeline's name holds 255, and its kind and the slug of its branch, of at most 63, are in it, too."""
CLOCKS = timedelta(minutes=5)
"""By which the clock of GitLab and ours may differ."""


@dataclass(frozen=True)
class Opened:
    """A retraining pipeline as GitLab lists it."""

    id: int
    url: str
    created: datetime
    status: str


def open_one(
    project: Project, decision: Decision, *, ref: str, now: datetime, cool_down_hours: float, dry_run: bool
) -> Retraining:
    """Open a pipeline on `ref` if `decision` asks for one and none was opened since the cool-down began.

    Looks at once, and calls whose answer was lost, may make several: the first one stays, the later ones are cancelled.
    Raises InputError where the token may not do this, and what calls of `Project` raise.
    """
    if not decision.retrain:
        return Retraining(outcome="not asked for", reason=decision.reason)
    since = now - timedelta(hours=cool_down_hours)
    before = found(project, ref=ref, since=since)
    if before:
        return _cooling(before[-1], cool_down_hours)
    if dry_run:
        return Retraining(outcome="would be opened", reason=f"on {ref}: {decision.reason}")
    made = _post(project, decision, ref=ref, since=since)
    there = found(project, ref=ref, since=since) or [_opened(made or {})]
    cancelled = _cancel(project, there[1:])
    first = there[0]
    reason = f"on {ref}: {decision.reason}" + (
        f"; {len(cancelled)} more of the same moment cancelled" if cancelled else ""
    )
    return Retraining(outcome="opened", reason=reason, pipeline=first.id, url=first.url, cancelled=cancelled)


def found(project: Project, *, ref: str, since: datetime) -> list[Opened]:
    """Retraining pipelines on `ref` that were created after `since`, the first one first, whatever became of them."""
    after = (since - CLOCKS).astimezone(UTC).isoformat().replace("+00:00", "Z")
    # A pipeline was updated when it was created, or later. Not every GitLab knows `created_after`.
    query = {"source": "api", "ref": ref, "updated_after": after, "order_by": "id", "sort": "desc"}
    listed = {int(row["id"]): row for row in project.rows("pipelines", query)}
    known = [_opened(row) for row in listed.values() if _created(row) >= since]
    return sorted((one for one in known if _is_retraining(project, listed[one.id])), key=lambda one: one.id)


def _cooling(last: Opened, hours: float) -> Retraining:
    until = last.created + timedelta(hours=hours)
    return Retraining(
        outcome="cooling down",
        reason=f"pipeline {last.id} was opened at {last.created:%Y-%m-%d %H:%M} UTC ({last.status}); the next one not "
        f"before {until:%Y-%m-%d %H:%M} UTC",
        pipeline=last.id,
        url=last.url,
    )


def _post(project: Project, decision: Decision, *, ref: str, since: datetime) -> Reply | None:
    """What GitLab answers; None where the answer was lost and the pipeline is there."""
    variables = [{"key": VARIABLE, "value": "true"}, {"key": REASON, "value": plain(decision.reason)}]
    try:
        body = {"ref": ref, "variables": variables}
        return project.send("POST", "pipeline", body, done=lambda: bool(found(project, ref=ref, since=since)))
    except RefusedError as error:
        if "pipeline variables" in str(error):
            raise InputError(
                f"{project.place} lets this role set no variables of a pipeline; set Settings > CI/CD > Variables "
                "> Minimum role to use pipeline variables to Developer"
            ) from None
        if "permission to run a pipeline" in str(error):
            raise InputError(
                f"{project.place} does not let the token run a pipeline on {ref}; whoever may merge into the protected "
                "branch may: Settings > Repository > Protected branches > Allowed to merge: Developers + Maintainers"
            ) from None
        raise


def _cancel(project: Project, later: Sequence[Opened]) -> tuple[int, ...]:
    """Cancel pipelines that came too late. One that is done already has trained: that harms nobody."""
    for one in later:
        if one.status not in ("canceled", "canceling", "success", "failed", "skipped"):
            project.send("POST", f"pipelines/{one.id}/cancel", {})
    return tuple(one.id for one in later)


def _is_retraining(project: Project, row: Reply) -> bool:
    name = row.get("name")
    if name:
        return str(name).startswith(NAME)
    try:
        variables = list(project.rows(f"pipelines/{row['id']}/variables"))
    except AccessError as error:
        if error.status == 403:
            return True
        raise
    return any(one.get("key") == VARIABLE and one.get("value") == "true" for one in variables)


def _opened(row: Reply) -> Opened:
    return Opened(id=int(row["id"]), url=str(row.get("web_url", "")), created=_created(row), status=str(row["status"]))


def _created(row: Reply) -> datetime:
    return datetime.fromisoformat(str(row["created_at"]))


def plain(text: str) -> str:
    """Letters, digits and what is harmless in a name, a shell and a note; one line of bounded length."""
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in " .,:;()%/-_") else " " for sign in text)
    return " ".join(kept.split())[:LONGEST_REASON]
