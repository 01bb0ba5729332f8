"""Workers on this machine: started, watched, replaced when they die, and ended with who started them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wattline.errors import PausedError, WattlineError
from wattline.interruption import SECONDS_TO_END
from wattline.sweep.study import Trials
from wattline.sweep.worker import own_name

Say = Callable[[str], object]

TICK_SECONDS = 0.2


@dataclass
class Member:
    """A worker process and its log."""

    name: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def run(trials: Trials, *, workers: int, lock: int, watch: Callable[[], object]) -> None:
    """Let so many workers run trials until all are done.

    lock: a descriptor that they keep open, so that nobody begins the study again while one of them lives
    watch: called now and then, to tell what has come out
    Raises WattlineError when a worker ends before it has taken a trial: others would, too.
    """
    with _started(trials, workers, lock) as members:
        while members:
            time.sleep(TICK_SECONDS)
            for member in [one for one in members if one.process.poll() is not None]:
                members.remove(member)
                if member.process.returncode == 0:
                    continue
                held = trials.release_of(member.name, died=True)
                _check(member, held)
                members.append(_start(trials, member.name, lock))
            watch()


def _check(member: Member, held: int) -> None:
    """Raise unless a worker died of the trial that it ran."""
    code = member.process.returncode
    if code == PausedError.exit_code:
        raise PausedError(f"worker {member.name} was told to end; run the sweep again and it goes on")
    if not held:
        said = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise WattlineError(f"a worker {said} without a trial: {member.last_line()}; its log is {member.log}")


@contextmanager
def _started(trials: Trials, workers: int, lock: int) -> "Iterator[list[Member]]":
    members: list[Member] = []
    try:
        for number in range(workers):
            members.append(_start(trials, own_name(number), lock))
        yield members
    finally:
        _end(members)
        for member in members:
            # Of one that took too long to hand its trial back.
            trials.release_of(member.name, died=False)


def _start(trials: Trials, name: str, lock: int) -> Member:
    log = trials.plan.folder / "workers" / f"{name.rstrip('.')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "wattline", "sweep", "--worker", "--study", trials.plan.study, "--name", name]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            pass_fds=[lock],
        )
    return Member(name, log, process)


def _end(members: list[Member]) -> None:
    """Let each hand its trial back, and kill those that do not."""
    for member in members:
        with suppress(ProcessLookupError):
            member.process.terminate()
    deadline = time.monotonic() + SECONDS_TO_END
    for member in members:
        with suppress(subprocess.TimeoutExpired):
            member.process.wait(max(0.0, deadline - time.monotonic()))
        if member.process.poll() is None:
            member.process.kill()
            member.process.wait()
