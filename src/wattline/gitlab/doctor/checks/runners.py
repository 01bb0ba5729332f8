"""Checks of runners: a job whose tag no online runner has waits until GitLab gives up on it."""

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "runners"
TRAINING = Subject(GROUP, "WATTLINE_HPC_TAG", "train runner")
DEPLOYMENT = Subject(GROUP, "WATTLINE_DEPLOY_TAG", "deploy runner")
REMEDY = "start or register a runner with it under Settings > CI/CD > Runners, or unset the variable"


def training(facts: Facts) -> Finding | None:
    """Is there a runner that trains on the cluster?"""
    if not facts.known.hpc_tag:
        return TRAINING.ok("is not set: training runs on the runners of the other jobs")
    if facts.kind == "fork":
        return TRAINING.ok("a fork's merge request trains on the runners of the other jobs")
    return _online(facts, TRAINING, facts.known.hpc_tag)


def deployment(facts: Facts) -> Finding | None:
    """Is there a runner on the serving host?"""
    if not facts.known.deploy_tag:
        return DEPLOYMENT.ok("is not set: the server runs where the runners of the other jobs are")
    return _online(facts, DEPLOYMENT, facts.known.deploy_tag)


def _online(facts: Facts, subject: Subject, tag: str) -> Finding:
    answer = facts.runners.get(tag)
    if answer is None or answer.trouble:
        return subject.unknown(f"whether a runner with the tag {tag} is online: GitLab was not asked")
    if not isinstance(answer.body, list) or not answer.done:
        return subject.unknown(
            f"whether a runner with the tag {tag} is online: this token may not see runners ({answer.status})",
            "look at Settings > CI/CD > Runners",
        )
    online = [row for row in answer.body if not row.get("paused")]
    if not online:
        return subject.wrong(facts.needs, f"no runner with the tag {tag} is online and takes jobs", REMEDY)
    if not facts.known.ci_commit_ref_protected and all(row.get("access_level") == "ref_protected" for row in online):
        return subject.wrong(
            facts.needs,
            f"every online runner with the tag {tag} is protected, and this ref is not",
            "clear Protected of the runner under Settings > CI/CD > Runners, or unset the variable",
        )
    number = len(online)
    return subject.ok(f"{number} {'runner' if number == 1 else 'runners'} with the tag {tag} online")
