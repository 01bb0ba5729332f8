"""The packages that a job's Python finds: asked of that Python itself, and held against the locks."""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattline.errors import InputError, WattlineError
from wattline.hpc import commands
from wattline.interruption import Say, streamed
from wattline.sites import Profile, prologue
from wattline.sites.environments import wrapped
from wattline.supply.bill import public
from wattline.supply.packages import locked, normalise

LOCKS = (Path("requirements/core.lock"), Path("requirements/torch-cpu.lock"))
"""Both locks of torch name the same public version of it."""
TIMEOUT_SECONDS = 600.0
"""A shared file system may take minutes to find the metadata of 250 packages for the first time."""
PROBE = (
    "import importlib.metadata as m, json, platform;"
    "print(json.dumps([platform.python_version(), {d.name: d.version for d in m.distributions() if d.name}]))"
)
SHOWN = 3


@dataclass(frozen=True)
class Found:
    """What a job's Python is. packages: name -> version"""

    python: str
    packages: Mapping[str, str]


def look(profile: Profile, root: Path) -> Found:
    """Start Python here as a job of the site would: with its modules, in its environment.

    Raises WattlineError with what the script of a job would say where that cannot be.
    """
    wrapping = wrapped(profile.environment, ["python3", "-c", PROBE], root=root)
    script = [
        "set -u",
        *prologue.GIVE_UP,
        *prologue.modules(profile),
        *wrapping.lines,
        wrapping.command,
    ]
    answer = commands.call(["bash", "-l", "-c", "\n".join(script)], timeout_seconds=TIMEOUT_SECONDS)
    if answer.code:
        raise WattlineError(answer.complaint or f"Python could not be started, exit code {answer.code}")
    try:
        # A profile of the shell may greet.
        python, packages = json.loads(answer.output.splitlines()[-1])
        return Found(str(python), {normalise(name): str(version) for name, version in packages.items()})
    except (ValueError, IndexError):
        raise WattlineError(f"Python did not say what it has, but {answer.output[-200:]!r}") from None


def differences(found: Found) -> list[str]:
    """What of the locks is absent there, or there in another version. Empty where all is as it should be."""
    pinned = locked(*(lock for lock in LOCKS if lock.is_file()))
    wanted = dict(sorted(pinned))
    if not wanted:
        raise InputError(f"{LOCKS[0]} is missing; restore it from git")
    differing = [
        f"{name} is {found.packages.get(name, 'absent')} there and {version} in the locks"
        for name, version in wanted.items()
        if public(found.packages.get(name, "")) != version
    ]
    ours = ".".join(platform.python_version_tuple()[:2])
    if not found.python.startswith(f"{ours}."):
        differing.insert(0, f"Python is {found.python} there and {ours} here")
    return differing


def told(differing: list[str]) -> str:
    """The first of them."""
    more = f", and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    return "; ".join(differing[:SHOWN]) + more


def build(path: Path, *, say: Say) -> None:
    """Make a virtual environment of the locks, as `make setup` does; what is there of it already is kept.

    Raises WattlineError where that failed: without its stamp .ready it counts as unfinished.
    """
    if Path(sys.prefix) == path:
        raise WattlineError("it runs this very command; run `make setup` instead")
    # Written last by `make`, which would otherwise take the environment for finished.
    (path / ".ready").unlink(missing_ok=True)
    # The Python behind this one: an environment that rests on another environment ends with it.
    python = Path(getattr(sys, "_base_executable", sys.executable))
    command = ["make", "setup", f"VENV={path}", f"PYTHON={python}"]
    try:
        code = streamed(command, folder=Path.cwd(), say=say)
    except FileNotFoundError:
        raise WattlineError("there is no make here; install the packages as `setup` in the Makefile does") from None
    if code:
        raise WattlineError(f"`{' '.join(command)}` failed with exit code {code}; it said why above")
