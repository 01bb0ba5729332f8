"""Takes one snapshot again and again, each time killed at another of its steps, and then once more to its end.

python -m snapshots.killed FOLDER POINTS   (below FOLDER/NUMBER lies what is left after each)
"""

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pandas  # noqa: F401 - these before the forks, which then cost little
import pyarrow.dataset
import pyarrow.parquet  # noqa: F401

import snapshots.telemetry  # noqa: F401
from snapshots.conftest import FILE, START, take

STEPS = ("open", "os.", "shutil.")


def main(folder: Path, points: int) -> None:
    """Print how many steps there are, and for each point the step that it was killed at."""
    count = steps(folder / "undisturbed")
    print(count, flush=True)
    chosen = sorted(random.Random(START.timestamp()).sample(range(1, count + 1), points))
    for number, step in enumerate(chosen):
        place = folder / str(number)
        shutil.copytree(folder / "template", place)
        assert os.waitstatus_to_exitcode(fork(place, kill_at=step)) == -signal.SIGKILL, step
        assert os.waitstatus_to_exitcode(fork(place)) == 0, step
        print(step, flush=True)


def steps(place: Path) -> int:
    """How many steps an undisturbed snapshot has."""
    shutil.copytree(place.with_name("template"), place)
    told, tell = os.pipe()
    assert os.waitstatus_to_exitcode(fork(place, tell=tell)) == 0
    return int(os.read(told, 20))


def fork(place: Path, *, kill_at: int = 0, tell: int = 0) -> int:
    """Take a snapshot in a process of its own; how it ended."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    code = 1
    try:
        os.chdir(place)
        count = 0

        def step(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            if event.startswith(STEPS) and concerns(event, arguments):
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(step)
        take(0, 30, page_hours=6, file=FILE)
        if tell:
            os.write(tell, str(count).encode())
        code = 0
    finally:
        os._exit(code)


def concerns(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether an event writes below the project's folder."""
    if event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
        return False
    return any(str(one).startswith(("data/", ".wattline/", str(Path.cwd()))) for one in arguments if one)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
