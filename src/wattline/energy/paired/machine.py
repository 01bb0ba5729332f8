"""What the machine says while it is measured: its clocks, and how many of its cores others keep busy."""

import os
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

STAT = Path("/proc/stat")
TOLERATED_SECONDS = 0.1
"""By how much two clocks may part company: reading them takes a moment on a busy machine [s]."""
TOLERATED_SHARE = 1e-3
"""By which share, on top: a clock that is slewed runs up to 500 ppm faster or slower."""
BUSY = ("user", "nice", "system", "irq", "softirq")
FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")


class Clocks(NamedTuple):
    """Three clocks at one instant [s].

    wall: time of day, which somebody may set
    awake: runs steadily, and stands still while the machine is suspended
    elapsed: runs steadily, always
    """

    wall: float
    awake: float
    elapsed: float


class Machine(Protocol):
    """What a session asks of the machine it runs on."""

    def clocks(self) -> Clocks: ...

    def busy_seconds(self) -> float:
        """CPU time of everything that runs here, since some instant [s]."""
        ...

    def own_seconds(self, processes: Sequence[int]) -> float:
        """CPU time of this process, of its children that ended, and of `processes`, since some instant [s]."""
        ...

    def sleep(self, seconds: float) -> None: ...


class Host:
    """The machine that this process runs on, as Linux shows it."""

    def clocks(self) -> Clocks:
        return Clocks(
            wall=time.clock_gettime(time.CLOCK_REALTIME),
            awake=time.clock_gettime(time.CLOCK_MONOTONIC),
            elapsed=time.clock_gettime(time.CLOCK_BOOTTIME),
        )

    def busy_seconds(self) -> float:
        ticks = dict(zip(FIELDS, map(int, STAT.read_text().split("\n", 1)[0].split()[1:]), strict=False))
        return sum(ticks[name] for name in BUSY) / os.sysconf("SC_CLK_TCK")

    def own_seconds(self, processes: Sequence[int]) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_cpu_seconds, processes))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def disturbance(before: Clocks, after: Clocks) -> str | None:
    """What happened to the clocks in between, in one sentence; None where they agree."""
    wall, awake, elapsed = (end - begin for begin, end in zip(before, after, strict=True))
    tolerated = TOLERATED_SECONDS + TOLERATED_SHARE * abs(awake)
    if elapsed - awake > tolerated:
        return f"the machine was suspended for {elapsed - awake:.1f} s; keep it awake and run the test again"
    if abs(wall - elapsed) > tolerated:
        step = f"the clock stepped by {wall - elapsed:+.1f} s"
        return f"{step}, and a meter that is read by time of day cannot be trusted; run the test again"
    return None


def _cpu_seconds(process: int) -> float:
    """CPU time of all threads of a process that runs [s]; 0 for one that is gone, which somebody else notices."""
    with suppress(OSError):
        return time.clock_gettime((~process << 3) | 2)  # clock_getcpuclockid(3) of Linux
    return 0.0
