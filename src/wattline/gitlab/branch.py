"""One branch of the project on GitLab: its newest commit, and a push that only ever moves it forward.

The token goes from the environment to git through a credential helper of git's: it is in no argument, address, file or
message. Nobody's configuration of hooks, helpers or headers takes part.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from wattline.errors import InputError, WattlineError
from wattline.git import call, git, git_command
from wattline.settings import Settings
from wattline.trust import LOOPBACK

LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref|incorrect old value|"
    r"reference already exists"
)
PASSING = re.compile(
    r"returned error: (5\d\d|429)|resolve host|timed out|onnection|early EOF|hung up|RPC failed|unexpected disconnect"
)
DENIED = re.compile(
    r"denied|declined|not allowed|error: 40[13]|Authentication|could not read (User|Pass)|protected|Forbidden"
)
NO_OPTIONS = "does not support push options"


class PassingError(Exception):
    """The other side did not answer as it should, and may later."""


class DeniedError(Exception):
    """The other side knows who asks and says no."""


@dataclass(frozen=True)
class Account:
    """Who pushes.

    variable: name of the environment variable with the token; empty where none is needed
    """

    user: str
    variable: str


@dataclass(frozen=True)
class Branch:
    """A branch in the repository at `url`, in which there is nothing secret.

    authority: a PEM file with certificates that vouch for it
    """

    url: str
    name: str
    authority: Path | None

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.name}"

    def newest(self, account: Account) -> str | None:
        """Fetch the newest commit; its id, None where the branch is gone. Raises as `_told` does."""
        mine = f"refs/wattline/lock-{os.getpid()}"
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.url, f"+{self.ref}:{mine}")
        try:
            code, _, error = self._git(account, *fetch)
            if code and "couldn't find remote ref" in error:
                return None
            self._told(code, error)
            return git("rev-parse", mine)
        finally:
            call(git_command("update-ref", "-d", mine))

    def push(self, account: Account, *, commit: str, expected: str) -> bool:
        """Move the branch from `expected` to its child `commit`; False when it was not at `expected` any more.

        A branch that was deleted is not made again. No pipeline starts. Raises as `_told` does.
        """
        for options in (("--push-option=ci.skip",), ()):
            lease = f"--force-with-lease={self.ref}:{expected}"
            push = ("push", "--porcelain", lease, *options, self.url, f"{commit}:{self.ref}")
            code, said, error = self._git(account, *push)
            if not (code and NO_OPTIONS in error):
                break
        if code and LOST_RACE.search(said + error):
            return False
        self._told(code, said + error)
        return True

    def _git(self, account: Account, *arguments: str) -> tuple[int, str, str]:
        settings = ["credential.helper=", "http.extraHeader="]
        if account.variable:
            host = urlunsplit((*urlsplit(self.url)[:2], "", "", ""))
            settings.append(f"credential.{host}.helper={helper(account)}")
        options = [word for setting in settings for word in ("-c", setting)]
        trust = () if self.authority is None else (f"GIT_SSL_CAINFO={self.authority}",)
        return call(git_command(*options, *arguments, variables=("GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", *trust)))

    def _told(self, code: int, error: str) -> None:
        """Raise PassingError, DeniedError or WattlineError for what git says when it fails."""
        if not code:
            return
        reason = " ".join(error.split())[-300:]
        if PASSING.search(error):
            raise PassingError(reason)
        if DENIED.search(error):
            raise DeniedError(reason)
        raise WattlineError(f"git could not reach the branch '{self.name}': {reason}")


def of_job(known: Settings, name: str) -> Branch:
    """The branch `name` of the project whose job this is. Raises InputError when it cannot be pushed to safely."""
    if call(git_command("check-ref-format", f"refs/heads/{name}"))[0]:
        raise InputError(f"'{name}' is no name of a branch; rename the source branch")
    if known.ci_repository_url is not None:
        address = known.ci_repository_url.get_secret_value()
    else:
        address = git("remote", "get-url", "origin")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        return Branch(url=address, name=name, authority=None)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    if place.scheme == "http" and place.hostname not in LOOPBACK:
        raise InputError(f"http://{place.netloc} would show the token to everybody; let CI_REPOSITORY_URL be HTTPS")
    return Branch(url=urlunsplit(place), name=name, authority=known.ci_server_tls_ca_file)


def accounts(known: Settings, branch: Branch) -> list[Account]:
    """Who may push, the one whose pushes start no pipeline first. Raises InputError when there is none."""
    if not branch.url.startswith(("http://", "https://")):
        return [Account(user="", variable="")]
    found = []
    if known.ci_job_token is not None:
        found.append(Account(user="gitlab-ci-token", variable="CI_JOB_TOKEN"))
    if known.gitlab_token is not None:
        found.append(Account(user="oauth2", variable="WATTLINE_GITLAB_TOKEN"))
    if not found:
        raise InputError("neither CI_JOB_TOKEN nor WATTLINE_GITLAB_TOKEN is set, so dvc.lock cannot be pushed")
    return found


def helper(account: Account) -> str:
    """A credential helper that names the token's variable, not the token. https://git-scm.com/docs/gitcredentials"""
    answer = f"printf 'username=%s\\npassword=%s\\n' '{account.user}' \"${account.variable}\""
    return f'!f() {{ test "$1" = get && {answer}; }}; f'
