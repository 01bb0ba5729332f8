"""Programs of a site that are asked for a reading: bounded in time, in English, and their failure is one line."""

import shutil
import subprocess
from collections.abc import Sequence

from wattline.energy.meters.meter import MeterError


def find(name: str, remedy: str) -> str:
    """Where a program is. Raises MeterError naming `remedy` where it is not."""
    path = shutil.which(name)
    if path is None:
        raise MeterError(f"{name} is not installed here or not on PATH; {remedy}")
    return path


def run(command: Sequence[str], *, timeout_seconds: float) -> str:
    """What a program prints. Raises MeterError when it fails or does not end in time; it is killed then."""
    shown = " ".join(command)
    try:
        # Without a locale, so that numbers and words are the same everywhere; env(1), as the rest stays as it is.
        done = subprocess.run(
            ["env", "LC_ALL=C", *command],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeterError(f"`{shown}` did not end within {timeout_seconds:g} s; run it by hand to see why") from None
    except OSError as error:
        raise MeterError(f"`{shown}` cannot be run ({error.strerror})") from None
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip() or "nothing").split())[-300:]
        raise MeterError(f"`{shown}` failed with code {done.returncode} and said: {said}")
    return done.stdout
