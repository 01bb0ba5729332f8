"""A child pipeline in which every stage of DVC that has to run is a job, with the edges of DVC's graph as `needs`."""

from collections.abc import Mapping
from typing import Any

import yaml

from wattline.errors import InputError
from wattline.gitlab import dvc_remote
from wattline.gitlab.affected import Plan, plan
from wattline.interruption import Say
from wattline.settings import Settings

PREFIX = "dvc:"
"""Before the name of a stage, which could be a word that GitLab keeps for itself."""
TEMPLATE, HPC_TEMPLATE, COLLECT_TEMPLATE = ".dvc-stage", ".dvc-stage-hpc", ".dvc-collect"
MOST_NEEDS = 50
"""Of one job, unless an administrator of the GitLab allows more."""


def child(known: Settings, *, include: str, say: Say) -> str:
    """The child pipeline of this folder's DVC project, as YAML.

    include: the file of this repository in which the jobs' templates are
    Raises InputError when the jobs have no place in which they find what others ran, or the project cannot be read.
    """
    remote = dvc_remote.configure(known)
    if remote is None and known.dvc_cache is None:
        raise InputError(
            "stages as jobs hand on what they made through the DVC remote, and there is none; set WATTLINE_DVC_REMOTE "
            "(or WATTLINE_DVC_CACHE where all runners share one folder), or unset WATTLINE_STAGES_AS_JOBS"
        )
    found = plan()
    for name, reason in found.to_run.items():
        say(f"child: {name} is a job: {reason}")
    for kind, names in (("from the run cache", found.restored), ("unchanged", found.unchanged)):
        say(f"child: {kind}: {', '.join(names) or 'nothing'}")
    return yaml.safe_dump(pipeline(found, include=include, hpc=hpc_stages(known)), sort_keys=False, width=120)


def hpc_stages(known: Settings) -> frozenset[str]:
    """Stages for the runner at the HPC centre; none where there is no such runner, or it is not for this job's fork."""
    if known.hpc_tag is None or known.from_fork:
        return frozenset()
    return frozenset(known.hpc_stages.replace(",", " ").split())


def pipeline(found: Plan, *, include: str, hpc: frozenset[str]) -> dict[str, Any]:
    """The child pipeline for a plan. A stage that is only restored is no job: the last job does that."""
    document: dict[str, Any] = {
        "include": [{"local": include}],
        "stages": ["dvc", "collect"],
        "workflow": {"rules": [{"when": "always"}]},
    }
    for name in found.to_run:
        document[PREFIX + name] = _job(name, found, hpc=hpc)
    if found.to_run or found.restored:
        document["collect"] = {"extends": COLLECT_TEMPLATE, "stage": "collect"}
    else:
        document["unchanged"] = {
            "extends": COLLECT_TEMPLATE,
            "stage": "collect",
            "script": [f"echo 'All {len(found.unchanged)} stages are as dvc.lock says; nothing runs.'"],
        }
    return document


def _job(name: str, found: Plan, *, hpc: frozenset[str]) -> Mapping[str, Any]:
    needs = [PREFIX + parent for parent in found.parents[name] if parent in found.to_run]
    if len(needs) > MOST_NEEDS:
        raise InputError(f"stage {name} reads from {len(needs)} stages, GitLab lets a job need {MOST_NEEDS}; join some")
    return {
        "extends": HPC_TEMPLATE if name in hpc else TEMPLATE,
        "stage": "dvc",
        # $ would be a variable of GitLab's.
        "variables": {"DVC_STAGE": name.replace("$", "$$")},
        "needs": needs,
    }
