"""What is known of the job of a stage, as a file: written before it is submitted, and true after every crash."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from wattline import files
from wattline.errors import InputError, WattlineError
from wattline.hpc.scheduler import Look, State
from wattline.records import Energy, Record

FILE = "job.json"
LOCK = "lock"
LOCK_SECONDS = 120.0
POLL_SECONDS = 0.2


class Job(Record):
    """One job of one stage.

    token: of this job alone, part of its name
    key: digest of what the stage reads there: the same work has the same one
    job: number that the scheduler gave; null while it is not known whether it was submitted
    state, reason, nodes, restarts, exit_code: at the last look
    queue_seconds, run_seconds: of the last attempt, as far as the scheduler said [s]
    history: each change that was seen, oldest first
    energy: of all attempts; null where it was not measured
    not_measured: why it was not
    collected: whether its outcome was taken over; one that was not is never submitted again
    """

    stage: str
    site: str
    token: str
    key: str
    job: str | None = None
    state: State | None = None
    reason: str = ""
    nodes: tuple[str, ...] = ()
    restarts: int = Field(default=0, ge=0)
    exit_code: int | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None
    history: tuple[str, ...] = ()
    energy: Energy | None = None
    not_measured: str = ""
    collected: bool = False

    @property
    def name(self) -> str:
        """As the scheduler shows it; see `Order.name`."""
        return f"wattline-{self.stage}-{self.token}"

    def seen(self, look: Look) -> "Job":
        """With what a look found."""
        seen = {
            "state": look.state,
            "reason": look.reason,
            "nodes": look.nodes,
            "restarts": look.restarts,
            "exit_code": look.exit_code,
            "queue_seconds": look.queue_seconds,
            "run_seconds": look.run_seconds,
        }
        return self.model_copy(update=seen)


def read(folder: Path) -> Job | None:
    """The job of the stage of `folder`; None where there was none. Raises InputError where the file is damaged."""
    path = folder / FILE
    try:
        return Job.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise InputError(
            f"{path} is damaged, and says whether a job is under way; look for wattline-{folder.name}-* in the queue, "
            "cancel it, and remove the file"
        ) from None


def write(folder: Path, job: Job) -> None:
    files.write_text(folder / FILE, job.to_json())


@contextmanager
def locked(folder: Path, *, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Let one process at a time decide about the job of a stage. Programs that it starts hold the lock, too.

    Raises WattlineError where another one keeps it, or the file system has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        _take(lock.fileno(), folder, time.monotonic() + timeout_seconds)
        os.set_inheritable(lock.fileno(), True)
        yield


def _take(lock: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise WattlineError(
                    f"another process is submitting or collecting {folder.name} (it holds {folder / LOCK}); "
                    "wait for it or end it, and run this again"
                ) from None
            time.sleep(POLL_SECONDS)
        except OSError as error:
            raise WattlineError(
                f"{folder / LOCK} cannot be locked ({error.strerror}), so a job could be submitted twice; put the "
                "project on a file system with flock, e.g. Lustre mounted with -o flock"
            ) from None
        else:
            return
