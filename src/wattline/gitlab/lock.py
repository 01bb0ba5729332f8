"""dvc.lock, reports and cards of a merge request, committed to its source branch: once, forward, or not at all."""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from wattline.errors import InputError, SupersededError, WattlineError
from wattline.gitlab import branch as branches
from wattline.gitlab import dvc_remote, made, run_cache
from wattline.gitlab.branch import Account, Branch, DeniedError, PassingError
from wattline.gitlab.made import Made
from wattline.gitlab.project import Project
from wattline.interruption import Say
from wattline.settings import Settings

ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 20.0
TRAILER = "Wattline-Lock"
"""In the message of these commits, by which `workflow:rules` know them."""

Result = TypeVar("Result")


def lock(known: Settings, *, say: Say, wait: Callable[[float], None] = time.sleep) -> None:
    """Send the data to the DVC remote, then commit what the stages made to the source branch.

    Raises InputError when the branch is not to be pushed to or no token may, SupersededError when the branch has other
    inputs by now or is gone, WattlineError when the remote lacks data or GitLab does not answer.
    """
    name = source_branch(known)
    branch = branches.of_job(known, name)
    _check_protection(known, name)
    accounts = branches.accounts(known, branch)
    result = made.read()
    if dvc_remote.configure(known) is None:
        say("lock: there is no DVC remote, so the data that dvc.lock names stays on this runner")
    else:
        run_cache.complete()
    commit_message = message(known, result)
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(random.uniform(0.5, 1) * min(LONGEST_WAIT_SECONDS, 0.2 * 2**attempt))  # noqa: S311
        try:
            said = _attempt(result, branch, accounts, known=known, message=commit_message)
        except PassingError as error:
            say(f"lock: {error}; trying again")
            continue
        if said:
            say(f"lock: {said}")
            return
        say(f"lock: '{name}' moved meanwhile; trying again")
    raise WattlineError(f"'{name}' could not be pushed to in {ATTEMPTS} attempts; run this job again")


def source_branch(known: Settings) -> str:
    """The branch to commit to. Raises InputError where there is none, or none that a job may write to."""
    name = known.ci_merge_request_source_branch or known.ci_commit_branch
    if known.from_fork:
        raise InputError("this merge request comes from a fork, to which no job pushes; there is nothing to do")
    if not name:
        raise InputError("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME is not set: dvc.lock goes to a merge request's branch")
    if name == known.ci_default_branch:
        raise InputError(f"'{name}' is the default branch, to which dvc.lock comes by a merge request only")
    return name


def message(known: Settings, result: Made) -> str:
    """What the commit says; its last lines are trailers."""
    pipeline = known.ci_pipeline_url or known.ci_pipeline_id or "none"
    return (
        f"chore(dvc): lock and reports of {result.head[:12]}\n\n"
        "Written by the pipeline, from the inputs of that commit.\n\n"
        f"{TRAILER}: {result.head}\nWattline-Pipeline: {pipeline}\n"
    )


def _attempt(result: Made, branch: Branch, accounts: list[Account], *, known: Settings, message: str) -> str | None:
    """Commit on what the branch is now; a sentence when that is settled, None when it moved meanwhile."""
    tip = _allowed(accounts, branch, branch.newest)
    if tip is None:
        raise SupersededError(f"the branch '{branch.name}' is gone, so dvc.lock has nowhere to go")
    touched = made.changed_inputs(result, tip)
    if touched:
        raise SupersededError(
            f"'{branch.name}' is at {tip[:12]}, where {touched[0]} is not as in {result.head[:12]}: this dvc.lock is "
            "not of that tree and was not pushed. A newer commit has a pipeline of its own; where this one ran on the "
            "merge with the target branch, merge that into the source branch"
        )
    if made.replaced(result, tip):
        return f"'{branch.name}' has a dvc.lock for these inputs already, in {tip[:12]}; nothing to commit"
    email = known.git_email or f"noreply@{known.ci_server_host or 'localhost'}"
    commit = made.commit_on(result, tip, message=message, author=known.git_name, email=email)
    if commit is None:
        return f"'{branch.name}' has all of it already, in {tip[:12]}; nothing to commit"
    if not _allowed(accounts, branch, partial(branch.push, commit=commit, expected=tip)):
        return None
    return f"dvc.lock, reports and cards are on '{branch.name}' in {commit[:12]}"


def _allowed(accounts: list[Account], branch: Branch, act: Callable[[Account], Result]) -> Result:
    """What `act` gives with the first account that may do it. Raises InputError when none may."""
    reasons = []
    for account in accounts:
        try:
            return act(account)
        except DeniedError as error:
            reasons.append(f"{account.variable or 'git'}: {error}")
    raise InputError(
        f"'{branch.name}' was refused ({'; '.join(reasons)}); allow 'Git push requests to the repository' in "
        "Settings > CI/CD > Job token permissions (GitLab 18.4 and later), or set WATTLINE_GITLAB_TOKEN to a project "
        "access token of scope `api` and role Developer; protected branches stay closed"
    )


def _check_protection(known: Settings, name: str) -> None:
    """Raise InputError unless it is known that the branch is not protected."""
    protected: bool | None = known.ci_commit_ref_protected
    if not protected and known.ci_merge_request_source_branch:
        protected = known.ci_merge_request_source_branch_protected
        if protected is None and known.gitlab_token is not None:
            with Project.of_job(known) as project:
                protected = bool(project.get(f"repository/branches/{quote(name, safe='')}")["protected"])
    if protected is None:
        raise InputError(
            f"nobody says whether '{name}' is protected: CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED is not set, as by a "
            "GitLab before 16.4, and neither is WATTLINE_GITLAB_TOKEN, with which GitLab could be asked"
        )
    if protected:
        raise InputError(f"'{name}' is a protected branch, to which no job pushes; work on a branch of its own")
