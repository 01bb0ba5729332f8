"""How many CPUs this process may really use: a container sees all of the machine's, but gets a quota of them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from wattline.params.serving import BatchingParams

ROOT = Path("/")


def usable(root: Path = ROOT) -> int:
    """CPUs of the affinity mask, or of the smallest cgroup quota around this process where that is less; at least 1.

    root: where /proc and /sys are looked for
    """
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def threads(batching: BatchingParams, workers: int) -> int:
    """CPU threads of one run of the graph in each of `workers` processes."""
    return batching.threads or max(1, usable() // workers)


def _quotas(root: Path) -> Iterator[float]:
    """Every quota that binds this process [CPUs]."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", maxsplit=2)
        if number == "0":
            for folder in _upwards(root / "sys/fs/cgroup", path):
                yield from _quota(*_read(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for mount in (controllers, "cpu"):
                for folder in _upwards(root / "sys/fs/cgroup" / mount, path):
                    yield from _quota(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """A group and those it is in. In a container, `path` may be the host's: then only the mount itself is there."""
    parts = [part for part in path.split("/") if part]
    return (mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))


def _quota(limit: str = "", period: str = "") -> Iterator[float]:
    """CPUs in what a kernel file says; nothing for "max", -1 and what is no number."""
    if limit.strip().isdecimal() and period.strip().isdecimal() and int(limit) and int(period):
        yield int(limit) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
