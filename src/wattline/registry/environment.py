"""What a candidate was made with: Python, platform and the version of every installed package."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from wattline import files
from wattline.records import Record

LOCK = Path("requirements/core.lock")


class Environment(Record):
    """An environment that can be compared with another one.

    lock_sha256: of requirements/core.lock; None where there is none
    packages: name as in the package's metadata, in lower case -> version
    """

    python: str
    platform: str
    lock_sha256: str | None
    packages: Mapping[str, str]


def current() -> Environment:
    """That of this process."""
    found = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        lock_sha256=files.sha256(LOCK) if LOCK.is_file() else None,
        packages=dict(sorted(found.items())),
    )
