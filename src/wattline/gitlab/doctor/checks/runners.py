"""Checks of runners: a job whose tags no online runner has waits until GitLab gives up on it."""

from collections.abc import Callable
from functools import partial

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject
from wattline.gitlab.doctor.needs import Need
from wattline.gitlab.doctor.probes.api import tags

GROUP = "runners"
SETTINGS = "Settings > CI/CD > Runners"
SERVES: dict[str, Need] = {
    "WATTLINE_HPC_TAG": "train runner",
    "WATTLINE_DATA_TAG": "data runner",
    "WATTLINE_VALIDATE_TAG": "data runner",
    "WATTLINE_BUILD_TAG": "deploy runner",
    "WATTLINE_DEPLOY_TAG": "deploy runner",
}
"""The tag that all jobs share is not among them: that this job runs shows that a runner has it."""


def online(variable: str, facts: Facts) -> Finding | None:
    """Does a runner with the tags that `variable` asks for take jobs of this ref?"""
    wanted = tags(facts.known).get(variable)
    if wanted is None or (facts.kind == "fork" and variable == "WATTLINE_HPC_TAG"):
        return None  # a fork's merge request trains where the other jobs run
    subject, named = Subject(GROUP, variable, SERVES[variable]), " and ".join(wanted)
    answer = facts.runners.get(variable)
    if answer is None or answer.trouble:
        return subject.unknown(f"whether a runner with the tag {named} is online: GitLab was not asked")
    if not answer.done or not isinstance(answer.body, list):
        said = f"whether a runner with the tag {named} is online: this token may not see runners ({answer.status})"
        return subject.unknown(said, f"look at {SETTINGS}")
    rows = [row for row in answer.body if not row.get("paused")]
    if not rows:
        said = f"no runner with the tag {named} is online and takes jobs"
        return subject.wrong(facts.needs, said, f"start or register one under {SETTINGS}, or unset the variable")
    if not facts.known.ci_commit_ref_protected and all(row.get("access_level") == "ref_protected" for row in rows):
        said = f"every online runner with the tag {named} is protected, and this ref is not"
        return subject.wrong(facts.needs, said, f"clear Protected of it under {SETTINGS}, or unset the variable")
    return subject.ok(f"{len(rows)} {'runner' if len(rows) == 1 else 'runners'} with the tag {named} online")


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = tuple(partial(online, variable) for variable in SERVES)
