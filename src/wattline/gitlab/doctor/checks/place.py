"""Checks of the machine and of the checkout of this job."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "this job"
PARAMS = Subject(GROUP, "params.yaml", "params")
HISTORY = Subject(GROUP, "GIT_DEPTH", "history")
ROOM = Subject(GROUP, "room for outputs", "disk")
CLOCK = Subject(GROUP, "clock", "clock")
SECONDS_APART = 60.0
"""Vault and S3 servers refuse what was signed at another time; they allow between one and fifteen minutes."""
GIGABYTE = 1e9


def parameters(facts: Facts) -> Finding | None:
    """Can the pipeline's knobs be read?"""
    if facts.params_trouble:
        return PARAMS.wrong(facts.needs, facts.params_trouble, "correct and commit it")
    return PARAMS.ok("can be read")


def history(facts: Facts) -> Finding | None:
    """Is there the history that metrics are compared with?"""
    if facts.place.shallow is None:
        return HISTORY.unknown("this is no clone that git can read")
    if facts.place.shallow:
        return HISTORY.wrong(
            facts.needs,
            "the clone is shallow: there is no commit to compare with or to reproduce",
            "set GIT_DEPTH to 0 in the job, or Settings > CI/CD > General pipelines > Git shallow clone to 0",
        )
    return HISTORY.ok("the whole history is here")


def room(facts: Facts) -> Finding | None:
    """Do new outputs fit beside the old ones?"""
    free, size = facts.place.free_bytes, facts.place.outputs_bytes
    if free is None:
        return ROOM.unknown(f"{facts.place.cache} cannot be looked at")
    said = f"{free / GIGABYTE:.1f} GB free at {facts.place.cache}"
    if size is None:
        return ROOM.unknown(f"{said}; without dvc.lock it is not known what outputs take")
    if free < size:
        return ROOM.wrong(
            facts.needs,
            f"{said}, outputs of one run take {size / GIGABYTE:.1f} GB by dvc.lock",
            "run `dvc gc` there, or set WATTLINE_DVC_CACHE to a larger place",
        )
    return ROOM.ok(f"{said}; outputs of one run take {size / GIGABYTE:.3f} GB by dvc.lock")


def clock(facts: Facts) -> Finding | None:
    """Does this machine agree with GitLab what time it is?"""
    answers = [one for one in (facts.job, facts.token, facts.version, facts.project) if one is not None]
    dates = [one.headers["date"] for one in answers if one.headers and "date" in one.headers]
    if not dates:
        return CLOCK.unknown("GitLab has not said what time it has")
    try:
        apart = abs((parsedate_to_datetime(dates[0]).astimezone(UTC) - facts.now).total_seconds())
    except ValueError:
        return CLOCK.unknown("GitLab's Date header cannot be read")
    if apart > SECONDS_APART:
        return CLOCK.wrong(facts.needs, f"is {apart:.0f} s off GitLab's", "set the runner's clock by NTP")
    return CLOCK.ok(f"within {SECONDS_APART:.0f} s of GitLab's")
