"""DVC's commands in a job: streamed, without the secrets of the job, and ended with all that they started."""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wattline.interruption import Say, streamed

SECRETS = (
    "WATTLINE_GITLAB_TOKEN",
    "WATTLINE_SIGNING_KEY",
    "WATTLINE_SIGNING_PASSPHRASE",
    "WATTLINE_MODEL_SIGNING_KEY",
    "VAULT_ID_TOKEN",
)
"""Of jobs that push, sign or ask for secrets; no stage does."""
LOCKS = Path(".dvc/tmp/rwlock")
SAID = {
    "ran": re.compile(r"Running stage '(.+)':"),
    "restored": re.compile(r"Stage '(.+)' is cached - skipping run, checking out outputs"),
    "unchanged": re.compile(r"Stage '(.+)' didn't change, skipping"),
}
PULL_FAILED = re.compile(r"ERROR: failed to transfer|files? failed to download|Checkout failed for following targets")


@dataclass(frozen=True)
class Outcome:
    """What one `dvc repro` did.

    code: its exit code
    ran, restored, unchanged: stages, in its order; the last of `ran` failed where the code is not 0
    lacks_data: whether it failed since the remote did not give what it should have
    seconds: that it took [s]
    """

    code: int
    ran: tuple[str, ...]
    restored: tuple[str, ...]
    unchanged: tuple[str, ...]
    lacks_data: bool
    seconds: float


def repro(arguments: Sequence[str], *, say: Say) -> Outcome:
    """Run `dvc repro` with `arguments` and hand on what it says, as it says it."""
    found: dict[str, list[str]] = {kind: [] for kind in SAID}
    lacks_data = False

    def listen(line: str) -> None:
        nonlocal lacks_data
        lacks_data = lacks_data or PULL_FAILED.search(line) is not None
        for kind, pattern in SAID.items():
            match = pattern.fullmatch(line)
            if match and match[1] not in found[kind]:
                found[kind].append(match[1])
        say(line)

    code, seconds = timed(lambda: run(["repro", *arguments], say=listen))
    stages = {kind: tuple(names) for kind, names in found.items()}
    return Outcome(code=code, lacks_data=bool(code) and lacks_data, seconds=seconds, **stages)


def run(arguments: Sequence[str], *, say: Say) -> int:
    """Run one command of DVC; its exit code. Interrupted, neither it nor what it started goes on."""
    forget_dead_processes()
    unset = [word for name in SECRETS for word in ("-u", name)]
    # A stage in Python would keep its lines to itself until there are many.
    command = ["env", *unset, "PYTHONUNBUFFERED=1", "DVC_NO_ANALYTICS=1", sys.executable, "-m", "dvc", *arguments]
    return streamed(command, folder=Path.cwd(), say=say)


def timed(call: Callable[[], int]) -> tuple[int, float]:
    """What `call` gives, and the seconds it took."""
    begin = time.monotonic()
    return call(), time.monotonic() - begin


def forget_dead_processes() -> None:
    """Take out of DVC's table of busy paths what a killed DVC left there.

    DVC does so by itself for a process that is gone. In the next container the number may be another process's, and
    DVC would wait for that one for ever; a table that was half written stops it, too.
    """
    with suppress(FileNotFoundError):
        try:
            table = json.loads(LOCKS.read_text())
            holders = [entry for entries in table["read"].values() for entry in entries]
            alive = {entry["pid"]: _is_dvc_here(entry["pid"]) for entry in [*holders, *table["write"].values()]}
        except (ValueError, KeyError, TypeError, AttributeError):
            LOCKS.unlink()
            return
        if not any(alive.values()):
            LOCKS.unlink()


def _is_dvc_here(pid: int) -> bool:
    """Whether a process is a DVC that works in this folder, as far as the system tells."""
    process = Path("/proc") / str(pid)
    try:
        return b"dvc" in (process / "cmdline").read_bytes() and (process / "cwd").samefile(Path.cwd())
    except OSError:
        return False
