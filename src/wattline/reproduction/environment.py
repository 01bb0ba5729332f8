"""The environment of a version: found in the running interpreter, or installed from the version's own lock."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

from wattline import files
from wattline.environment import LOCK, Environment
from wattline.errors import WattlineError
from wattline.reproduction.commands import Place, Say, streamed
from wattline.reproduction.result import Difference

TORCH = (Path("requirements/torch-cpu.lock"), Path("requirements/torch.lock"))

Interpreter = Literal["current", "fresh"]

_ASK = (
    "import json, platform; from importlib import metadata; print(json.dumps({"
    "'python': platform.python_version(), 'platform': platform.platform(), "
    "'packages': {one.metadata['Name']: one.version for one in metadata.distributions()}}))"
)


def choose(mode: Literal["auto", "current", "fresh"], place: Place, *, say: Say) -> tuple[Interpreter, Path]:
    """The interpreter to use, which is installed first where that is needed.

    Raises WattlineError when it cannot be installed.
    """
    if mode == "current":
        return "current", Path(sys.executable)
    if mode == "auto":
        missing = next(unmet(place.root), None)
        if missing is None:
            return "current", Path(sys.executable)
        say(f"environment: {missing}, so the version's lock is installed")
    return "fresh", _install(place, say=say)


def unmet(root: Path) -> Iterator[str]:
    """What the running interpreter lacks of the locks below `root`, a sentence each."""
    for name, version in pinned(root / LOCK).items():
        found = _version(name)
        if found != version:
            yield f"{name} is {found or 'not installed'} here, {LOCK} pins {version}"
    builds = [version for lock in TORCH for version in pinned(root / lock).values()]
    if _version("torch") not in builds:
        yield f"torch is {_version('torch') or 'not installed'} here, the locks pin {' or '.join(builds) or 'none'}"


def pinned(lock: Path) -> dict[str, str]:
    """Name -> version of a lock file as pip reads it, without what is not for this platform."""
    from packaging.requirements import Requirement

    found = {}
    for line in lock.read_text().splitlines() if lock.is_file() else []:
        text = re.split(r"\s#|\s--|\\$", line)[0].strip()
        if "==" in text and not text.startswith(("#", "-")):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate():
                found[_normal(requirement.name)] = next(iter(requirement.specifier)).version
    return found


def installed(python: Path, root: Path) -> Environment:
    """What is installed beside `python`, and the lock below `root`."""
    said = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, check=False)
    if said.returncode:
        raise WattlineError(f"{python} cannot say what is installed: {said.stderr.strip()[-200:]}")
    return Environment(**json.loads(said.stdout), lock_sha256=files.sha256(root / LOCK))


def differences(recorded: Environment, used: Environment) -> tuple[Difference, ...]:
    """Interpreter, platform, lock and every recorded package that are not what was recorded."""
    pairs = [
        ("python", recorded.python, used.python),
        ("platform", recorded.platform, used.platform),
        (str(LOCK), recorded.lock_sha256 or "", used.lock_sha256 or ""),
    ]
    now = {_normal(name): version for name, version in used.packages.items()}
    pairs += [(name, version, now.get(_normal(name), "")) for name, version in sorted(recorded.packages.items())]
    return tuple(Difference(name=name, recorded=was, used=found) for name, was, found in pairs if was != found)


def _install(place: Place, *, say: Say) -> Path:
    folder = place.private / "environment"
    # PYTHONPATH would let the installer see packages that the environment has not.
    command = [
        "env",
        "-u",
        "PYTHONPATH",
        f"TMPDIR={place.scratch}",
        "make",
        "setup",
        f"VENV={folder}",
        f"PYTHON={sys.executable}",
    ]
    code = streamed(command, folder=place.root, say=say)
    if code:
        raise WattlineError(
            f"`make setup` of the version ended with exit code {code}, as it says above; "
            "`--environment current` takes what is installed here"
        )
    return folder / "bin" / "python"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
