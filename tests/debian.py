"""Debian's packages that tests need, installed by the tests themselves."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL = Path(__file__).with_name("install.sh")


class Tools:
    """Programs that are installed, or else unpacked into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        return Path(self.path(name)).is_file()

    def path(self, name: str) -> str:
        return shutil.which(name) or str(self._folder / name)


def give_up(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI: a component that CI does not test is not tested anywhere."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def install(cache: Path, packages: str) -> None:
    """Install a group of packages that tests/install.sh knows, or end the test with the reason why that cannot be."""
    reason = None
    if os.getuid() != 0:
        reason = f"installing {packages} with tests/install.sh needs root"
    elif shutil.which("apt-get") is None:
        reason = f"installing {packages} with tests/install.sh needs apt"
    if reason:
        give_up(reason)
    subprocess.run([INSTALL, cache, packages], check=True)
