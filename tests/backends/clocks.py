"""Processes whose clock is wrong, as on another host.

Debian's libfaketime 0.9.10 makes every wait of a Python thread fail or hang, so the shift is made inside of Python:
`clock/sitecustomize.py`, first on the path, moves `time` and `datetime` before anything else is imported. Clocks
outside of Python stay right (SQLite's CURRENT_TIMESTAMP, the times of files, PostgreSQL's now()), and so do all waits.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHIM = Path(__file__).with_name("clock")
VARIABLE = "TEST_CLOCK_SHIFT_SECONDS"


def shifted(seconds: float, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a process, and of its children, whose clock is `seconds` ahead of ours; behind if negative."""
    found = dict(os.environ if environment is None else environment)
    paths = [str(SHIM), *filter(None, [found.get("PYTHONPATH")])]
    return {**found, "PYTHONPATH": os.pathsep.join(paths), VARIABLE: repr(float(seconds))}


def python(
    *arguments: str | Path, ahead_seconds: float, folder: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run Python in `folder` with a wrong clock. arguments: `"-c", code` or `"-m", "wattline", "promote"`.

    Hosts at work at the same time are started by the test itself, with the environment that `shifted` gives.
    """
    options: dict[str, Any] = {"cwd": folder, "env": shifted(ahead_seconds, environment), "timeout": 240}
    return subprocess.run([sys.executable, *arguments], check=False, text=True, capture_output=True, **options)
