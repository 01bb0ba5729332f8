"""What may be published is told by what a file is, not by what it is called."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from wattline.errors import InputError
from wattline.registry.contents import containers, graph, tensors, text

CHECKS: Mapping[str, Callable[[Path], str | None]] = {
    ".onnx": graph.fault,
    ".safetensors": tensors.fault,
    ".json": text.json_fault,
    ".md": text.markdown_fault,
}
ALLOWED = tuple(CHECKS)
DVC_OBJECT = re.compile(r"files/md5/([0-9a-f]{2})/([0-9a-f]{30})\Z")


def check(folder: Path) -> None:
    """Raise InputError naming the first file below `folder` that is not what its name says, and why.

    A pickle, an archive and anything compressed is refused under every name.
    """
    check_places(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        fault = containers.fault(path) or CHECKS[path.suffix](path)
        if fault is not None:
            raise InputError(
                f"the candidate holds {path.relative_to(folder)}, which {fault}; remove it, or write it as "
                f"{path.suffix} demands"
            )


def check_places(folder: Path) -> None:
    """Raise InputError naming the first path below `folder` that is a link, a device or of no kind that is allowed."""
    for path in sorted(folder.rglob("*")):
        fault = _place_fault(path.lstat())
        name = path.relative_to(folder)
        if fault is not None:
            raise InputError(f"the candidate holds {name}, which {fault}; put the file itself there")
        if not path.is_dir() and path.suffix not in ALLOWED:
            raise InputError(f"the candidate holds {name}, only {', '.join(ALLOWED)} may be registered; remove it")


def check_sources(folder: Path) -> None:
    """Raise InputError when copying `folder` would read something that does not belong to it.

    DVC may put links to its cache in the place of outputs. Such a link leads to a file whose path is the MD5 of its
    bytes, so that it can lead to nothing else. A link that leads nowhere has no bytes and is left to who misses it.
    """
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and (not path.exists() or _leads_to_cache(path)):
            continue
        fault = _place_fault(status)
        if fault is not None:
            raise InputError(
                f"the candidate holds {path.relative_to(folder)}, which {fault}; put the file itself there"
            )


def _place_fault(status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return "is a device, a pipe or a socket"
    if status.st_nlink > 1:
        return "has a second name elsewhere (a hard link)"
    return None


def _leads_to_cache(link: Path) -> bool:
    target = link.resolve()
    found = DVC_OBJECT.search(target.as_posix())
    return found is not None and target.is_file() and _md5(target) == found[1] + found[2]


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
