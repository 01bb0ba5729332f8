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
