"""What a candidate was made with: Python, platform and the version of every installed package."""

import platform
import re
from collections.abc import Mapping
from functools import cache
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


@cache
def current() -> Environment:
    """That of this process."""
    found = dict(_name_and_version(dist) for dist in metadata.distributions())
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        lock_sha256=files.sha256(LOCK) if LOCK.is_file() else None,
        packages=dict(sorted(found.items())),
    )


def _name_and_version(dist: metadata.Distribution) -> tuple[str, str]:
    """From the first lines: parsing hundreds of files as e-mail takes longer than all the rest of a registration."""
    text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    said = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", text.partition("\n\n")[0], re.MULTILINE))
    return said.get("Name", "unknown").lower(), said.get("Version", "unknown")
