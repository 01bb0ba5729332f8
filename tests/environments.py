"""Environments of their own for programs that others wrote, and what commands in them print."""

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / ".wattline" / "clients"


def make(*names: str) -> Path:
    """Where the environments are that these locks in requirements/clients describe.

    Without a package index they cannot be made: the test is skipped, in CI it fails.
    """
    script = Path(__file__).with_suffix(".sh")
    done = subprocess.run([script, FOLDER, *names], check=False, capture_output=True, text=True)
    if done.returncode:
        reason = f"{', '.join(names)} cannot be installed: {done.stderr.strip()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return FOLDER


def run(environments: Path, name: str, *arguments: str | Path) -> str:
    """What a command of one environment prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [environments / name / "bin" / arguments[0], *arguments[1:]],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
