"""A powercap tree whose counters run: a child process plays the hardware, well or badly."""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Literal

ATTEMPTS = 6
RANGE_MICROJOULES = 262_143_328_850  # 32 bits of 61 uJ, as on most Intel servers

Fault = Literal[
    "none",
    "stuck",  # never moves
    "negative",  # writes negative numbers
    "backwards",  # counts down
    "wraps wrongly",  # falls back to 0 far below its range, every 50 ms
    "garbage",  # writes no number
    "empty",  # writes nothing
    "jumps",  # adds a megajoule every 50 ms
    "constant",  # the same power whatever is computed: a rating, no measurement
    "cpu time",  # CPU time of the process tree x a constant: an estimate, no measurement
]


def lay_out(
    root: Path,
    domains: Sequence[tuple[str, str]] = (("intel-rapl:0", "package-0"),),
    *,
    range_microjoules: int = RANGE_MICROJOULES,
    start: int = 1_000_000,
    maximum_watts: float | None = 400.0,
) -> list[Path]:
    """Folders of a powercap tree whose counters stand still.

    domains: folder and name of each
    maximum_watts: what constraint_0_max_power_uw says; None for a kernel without the file
    """
    folders = []
    for identity, name in domains:
        folder = root / identity
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_microjoules}\n")
        if maximum_watts is not None:
            (folder / "constraint_0_max_power_uw").write_text(f"{maximum_watts * 1e6:.0f}\n")
        write(folder, f"{start}\n")
        folders.append(folder)
    return folders


def write(folder: Path, text: str) -> None:
    """Set a counter in one step, as readers of sysfs see it."""
    following = folder / ".next"
    following.write_text(text)
    following.replace(folder / "energy_uj")


def vanish(folder: Path) -> None:
    """Take a domain away at once. Its ticker, which writes all the time, cannot hold on to a folder that moved."""
    gone = folder.parent.with_name(f"{folder.parent.name}.{folder.name}.gone")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def patient(test: Callable[..., None]) -> Callable[..., None]:
    """Try a test again that a machine which others keep busy fails: its meter must work, or its session be quiet."""

    @wraps(test)
    def again(*arguments: object, **named: object) -> None:
        for _ in range(ATTEMPTS - 1):
            with suppress(AssertionError):
                return test(*arguments, **named)
        return test(*arguments, **named)

    return again


@contextmanager
def ticking(
    root: Path,
    *,
    watts: float = 40.0,
    watts_per_core: float = 60.0,
    fault: Fault = "none",
    after_seconds: float = 0.0,
    refresh_seconds: float = 0.002,
    domains: Sequence[tuple[str, str]] = (("intel-rapl:0", "package-0"),),
    range_microjoules: int = RANGE_MICROJOULES,
    start: int = 1_000_000,
    maximum_watts: float | None = 400.0,
) -> Iterator[list[Path]]:
    """A tree in `root` that counts while the block runs; its domains' folders.

    Power of each domain is `watts`, plus `watts_per_core` for each core that the process tree of the caller keeps
    busy, with noise as silicon has it: in a quarter of a second 1 % when idle, and 10 % of what a load adds, as its
    power depends on what is computed. To let a domain vanish, call `vanish` with its folder in the block.

    watts: idle power [W]
    watts_per_core: what one busy core adds [W]
    fault: what is wrong with it
    after_seconds: when that begins [s]
    refresh_seconds: how often counters are written [s]
    range_microjoules: where counters wrap [uJ]
    start: what they begin with [uJ]
    """
    folders = lay_out(root, domains, range_microjoules=range_microjoules, start=start, maximum_watts=maximum_watts)
    options = {
        "folders": [str(folder) for folder in folders],
        "watts": watts,
        "watts_per_core": watts_per_core,
        "fault": fault,
        "after_seconds": after_seconds,
        "refresh_seconds": refresh_seconds,
        "range": range_microjoules,
        "start": start,
        "tree": os.getpid(),
    }
    command = [sys.executable, "-S", "-E", __file__, json.dumps(options)]
    # It ends when its standard input does: with the block, and with a test process that was killed.
    ticker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert ticker.stdout is not None
        assert ticker.stdout.readline() == b"ticking\n", "the ticker did not start"
        yield folders
    finally:
        ticker.communicate(timeout=30)


class _Load:
    """CPU seconds of a process tree; what ended between two looks is lost.

    itself: whether the ticker counts, which belongs to the tree
    """

    def __init__(self, root: int, *, itself: bool) -> None:
        self._root = root
        self._itself = itself
        self._total = 0.0
        self._last = self._read()

    def seconds(self) -> float:
        now = self._read()
        self._total += sum(max(0.0, used - self._last.get(process, 0.0)) for process, used in now.items())
        self._last = now
        return self._total

    def _read(self) -> dict[int, float]:
        found, waiting = {}, [self._root]
        while waiting:
            process = waiting.pop()
            if process == os.getpid() and not self._itself:
                continue
            with suppress(OSError):
                found[process] = time.clock_gettime((~process << 3) | 2)
                for children in Path(f"/proc/{process}/task").glob("*/children"):
                    waiting += map(int, children.read_text().split())
        return found


def _run(options: dict) -> None:
    folders = [Path(folder) for folder in options["folders"]]
    computed = options["fault"] == "cpu time"
    load, noise = _Load(options["tree"], itself=computed), random.Random(1)
    began = last = time.monotonic()
    busy, joules, jolt, quiet, lively = 0.0, 0.0, 0, 1.0, 1.0
    print("ticking", flush=True)
    while not select.select([sys.stdin], [], [], options["refresh_seconds"])[0]:
        now, used = time.monotonic(), load.seconds()
        fault = options["fault"] if now - began >= options["after_seconds"] else "none"
        if int(now / 0.02) != int(last / 0.02):
            quiet, lively = 1 + noise.gauss(0, 0.03), 1 + noise.gauss(0, 0.4)
        idle = {"cpu time": 0.0}.get(fault, options["watts"])
        core = {"constant": 0.0}.get(fault, options["watts_per_core"])
        if fault in ("constant", "cpu time"):
            quiet = lively = 1.0
        added = idle * (now - last) * quiet + core * (used - busy) * max(0.0, lively)
        joules += {"stuck": 0.0, "backwards": -added}.get(fault, added)
        if fault in ("jumps", "wraps wrongly"):
            jolt = int((now - began) / 0.05)
        last, busy = now, used
        count = options["start"] + int(joules * 1e6)
        if fault == "jumps":
            count += jolt * 10**12
        if fault == "wraps wrongly":
            count = int(((now - began) % 0.05) * options["watts"] * 1e6)
        text = {"negative": f"-{count}\n", "garbage": "0x7f,nan\n", "empty": ""}.get(fault)
        for folder in folders:
            with suppress(OSError):  # a domain that the test removed
                write(folder, f"{count % (options['range'] + 1)}\n" if text is None else text)


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]))
