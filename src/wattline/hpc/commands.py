"""Programs of a scheduler: bounded in time, in English, and with none of our variables."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wattline.errors import InputError, UnreachableError
from wattline.settings import for_scheduler

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What a program said before it ended.

    complaint: its errors as one line
    """

    code: int
    output: str
    complaint: str


def call(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> Answer:
    """Run one of the scheduler's programs.

    environment: instead of this process's without what is ours
    Raises InputError where it is not installed, UnreachableError where it does not end in time; it is killed then.
    """
    program = shutil.which(command[0])
    if program is None:
        raise InputError(
            f"there is no {command[0]} on PATH here; load the module of the scheduler, go to a login node, "
            "or choose another site (--site, WATTLINE_SITE)"
        )
    try:
        # Only what was marked as inheritable stays open: the lock of a submitter, which lives on in an sbatch whose
        # submitter was killed. Whoever comes next waits until it is clear whether that job exists.
        done = subprocess.run(
            [program, *command[1:]],
            env=for_scheduler() if environment is None else environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            close_fds=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{command[0]} did not answer within {timeout_seconds:g} s") from None
    said = done.stderr.strip() or done.stdout.strip()
    return Answer(done.returncode, done.stdout, " ".join(said.split())[-400:])
