"""Commands of git that no hook, no variable and no language of the user changes."""

import os
import subprocess
from collections.abc import Sequence

from wattline.errors import WattlineError

UNSET = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE")
"""A hook or an alias of git sets the first, which would lead commands elsewhere; the others print what is sent."""


def git(*arguments: str, variables: Sequence[str] = (), standard_input: str | None = None) -> str:
    """What a command of git in this folder answers. Raises WattlineError when it fails."""
    code, said, error = call(git_command(*arguments, variables=variables), standard_input=standard_input)
    if code:
        raise WattlineError(f"git {arguments[0]} failed: {' '.join(error.split())[-300:]}")
    return said.strip("\n")


def git_file(commit: str, path: str) -> bytes | None:
    """A file of a commit; None where it has none."""
    done = subprocess.run(git_command("show", f"{commit}:{path}"), capture_output=True, check=False)
    return None if done.returncode else done.stdout


def git_command(*arguments: str, variables: Sequence[str] = (), unset: Sequence[str] = UNSET) -> list[str]:
    """The command, for a list of programs and arguments.

    variables: for its environment, as NAME=value; nothing secret, since everybody on the machine may see them
    unset: what its environment does not have
    """
    without = [word for name in unset for word in ("-u", name)]
    return ["env", *without, "LC_ALL=C", *variables, "git", "-c", f"core.hooksPath={os.devnull}", *arguments]


def call(command: Sequence[str], *, standard_input: str | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    done = subprocess.run(
        command, input=standard_input or "", capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return done.returncode, done.stdout, done.stderr
