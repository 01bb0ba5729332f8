"""What a candidate was made with: Python, platform and the version of every installed package."""

import platform
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from wattline import files
from wattline.records import Record

LOCK = Path("requirements/core.lock")


class Environment(Record):
    """An environment that can be compared with another one.

    lock_sha256: of requirements/core.lock; None where there is none
    packages: name in lower case, with dashes -> version
    """

    python: str
    platform: str
    lock_sha256: str | None
    packages: Mapping[str, str]


def current() -> Environment:
    """That of this process."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        lock_sha256=files.sha256(LOCK) if LOCK.is_file() else None,
        packages=dict(sorted(_packages())),
    )


def machine() -> str:
    """What a figure was found out on, so that others know whether theirs compare: no name, and no address."""
    return ", ".join((platform.machine(), _processor(), platform.system(), f"Python {platform.python_version()}"))


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model, as Linux on x86 tells it."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return " ".join(next(models, "unknown processor").split())


@cache
def _packages() -> frozenset[tuple[str, str]]:
    """Name and version of every distribution, from the names of their folders: their metadata takes 100 times as long.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-dist-info-directory
    """
    found: dict[str, str] = {}
    for place in sys.path:
        for folder in Path(place or ".").glob("*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(name.lower().replace("_", "-"), version)
    return frozenset(found.items())
