"""One virtual environment for each peer, outside the project's own, made once."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
INSTALL_SECONDS = 1800


class InstallError(Exception):
    """An environment could not be made."""


def prepare(name: str, cache: Path) -> Path:
    """Python of the environment of peer `name`, installed now where there is none for its requirements.

    Raises InstallError with the last line of what the installer said.
    """
    requirements = PEERS / name / "requirements.txt"
    state = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache / "environments" / f"{name}-{state}"
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.is_file():
        print(f"installing the environment of {name} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for command in commands(folder, python, requirements):
            run(command)
        done.touch()
    return python


def commands(folder: Path, python: Path, requirements: Path) -> list[list[str | Path]]:
    """With uv where there is one, as it takes a tenth of the time."""
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--python", python, "--requirement", requirements],
        ]
    return [
        [sys.executable, "-m", "venv", folder],
        [python, "-m", "pip", "install", "--quiet", "--requirement", requirements],
    ]


def run(command: Sequence[str | Path], *, variables: Mapping[str, str] | None = None, folder: Path = PEERS) -> None:
    """Run one command of the installation. Raises InstallError with the last line of what it said."""
    environment = os.environ | dict(variables or {})
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"`{Path(command[0]).name}` took longer than {INSTALL_SECONDS} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InstallError(lines[-1].strip())
