"""CPU time of a process and of everything it started: the steady figure on a machine that others use, too."""

import os
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
ATTEMPTS = 10
"""Looks at a tree whose processes are waited for meanwhile, before the last one has to do."""
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process, told apart from a later one of the same number by when it began [ticks since boot]."""

    number: int
    began: int


class CpuTime(NamedTuple):
    """User and system time of a process tree.

    seconds: their sum [s]
    resolution: by how much it may be off [s]
    processes: the descendants that were alive
    orphans: those of them that are init's by now, with their part of `seconds` [s]
    """

    seconds: float
    resolution: float
    processes: frozenset[Process]
    orphans: Mapping[Process, float] = {}


def tree(known: frozenset[Process] = frozenset()) -> CpuTime:
    """CPU time of this process, of its living descendants, and of those that ended and were waited for.

    Clocks of living processes count nanoseconds, and what this process waited for is known to a microsecond. What a
    descendant waited for is told in ticks of 10 ms, for user and system time each. Lost is the CPU time of children
    that ended while SIGCHLD was ignored, and of processes whose parent ended before them, as they are init's; one
    that is in `known` still counts as long as it lives. Without /proc only this process and what it waited for are
    counted. Where children are waited for during every look, what they used is in `resolution`.

    known: descendants of an earlier look
    """
    for _ in range(ATTEMPTS):
        waited_for = _waited_for()
        seconds, resolution, processes = time.process_time() + waited_for, 1e-6, set()
        orphans: dict[Process, float] = {}
        living = set(descendants(os.getpid()))
        for number in living | {process.number for process in known}:
            with suppress(OSError, ValueError):  # it was waited for in the meantime
                began, inherited = _status(number)
                process = Process(number, began)
                if number not in living and process not in known:
                    continue  # the number is another process's now
                used = time.clock_gettime(_clock(number)) + inherited * _TICK_SECONDS
                seconds += used
                resolution += 2 * _TICK_SECONDS if inherited else 0.0
                processes.add(process)
                if number not in living:
                    orphans[process] = used
        missed = _waited_for() - waited_for  # of children that were counted twice, or not at all
        if not missed:
            break
    return CpuTime(seconds, resolution + missed, frozenset(processes), orphans)


def tree_of(root: int, known: frozenset[Process] = frozenset()) -> CpuTime:
    """CPU time of another process, of its living descendants, and of those that they waited for, as `tree` counts it.

    known: processes of an earlier look, which still count as long as they live
    Raises ProcessLookupError when `root` does not run, or another process has its number by now.
    """
    seconds, resolution, processes = 0.0, 1e-6, set()
    orphans: dict[Process, float] = {}
    living = {root, *descendants(root)}
    for number in living | {process.number for process in known}:
        with suppress(OSError, ValueError):
            began, inherited = _status(number)
            process = Process(number, began)
            if known and process not in known and number not in living - {root}:
                continue  # the number is another process's now
            used = time.clock_gettime(_clock(number)) + inherited * _TICK_SECONDS
            seconds += used
            resolution += 2 * _TICK_SECONDS if inherited else 0.0
            processes.add(process)
            if number not in living:
                orphans[process] = used
    if root not in {process.number for process in processes}:
        raise ProcessLookupError(f"process {root} does not run")
    return CpuTime(seconds, resolution, frozenset(processes), orphans)


def _waited_for() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _clock(process: int) -> int:
    """The CPU clock of a process: Linux packs the process number into a clock's (clock_getcpuclockid)."""
    return (~process << 3) | 2


def descendants(root: int) -> Iterator[int]:
    """Numbers of all processes that `root` started, or that these did, and that were not waited for yet."""
    waiting = list(_children(root))
    while waiting:
        process = waiting.pop()
        yield process
        waiting += _children(process)


def _children(process: int) -> Iterator[int]:
    """Each thread has children of its own."""
    with suppress(OSError):
        for thread in (PROC / str(process) / "task").iterdir():
            with suppress(OSError):
                yield from map(int, (thread / "children").read_text().split())


def _status(process: int) -> tuple[int, int]:
    """When it began, and CPU time of children that it waited for [ticks]: fields 22, 16 and 17 of proc_pid_stat(5)."""
    after_name = (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()  # a name may hold anything
    return int(after_name[19]), int(after_name[13]) + int(after_name[14])
