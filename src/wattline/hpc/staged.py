"""What `wattline stage-in` says of one thing that a node needs, and how it says sizes and full disks."""

import errno
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from wattline.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Staged:
    """One line.

    what: e.g. "data"
    said: what is there and how much of it, or what is missing and the remedy
    ready: whether nodes find all that they need of it
    """

    what: str
    said: str
    ready: bool = True

    def __str__(self) -> str:
        return f"{'' if self.ready else 'MISSING '}{self.what}: {self.said}"


def size(count: float) -> str:
    """A number of bytes as people say it, in powers of 1,000: "812 B", "4.1 GB"."""
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def weight(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count as links."""
    if not path.is_dir():
        return path.lstat().st_size
    places = ((Path(folder) / name) for folder, _, names in os.walk(path) for name in names)
    return sum(place.lstat().st_size for place in places)


def shown(path: Path) -> str:
    """A path as seen from the project, where it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def place(text: str, *, key: str) -> Path:
    """The path that a profile names, with variables filled in. Raises InputError for one that is not set here."""
    filled = Path(os.path.expandvars(text)).absolute()
    if unset := re.search(r"\$\{?(\w+)", str(filled)):
        raise InputError(f"{key} is {text!r}, but {unset[1]} is not set here; set it, or write the path itself")
    return filled


def existing(path: Path) -> Path:
    """`path`, or the deepest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def refusal(error: OSError, where: Path) -> str:
    """Why something could not be written, as a sentence with the remedy. where: what was to be written"""
    target = shown(where)
    if error.errno in FULL:
        free = size(shutil.disk_usage(existing(where.absolute())).free)
        return (
            f"{target} could not be written, the disk or your quota is full ({free} free in that file system); "
            "free some space, or name another place, and run it again: what is there already is whole and stays"
        )
    reason = error.strerror or str(error)
    return f"{target} could not be written: {reason.lower()}; look at who may write there, and run it again"
