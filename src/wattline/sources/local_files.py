"""Files of your own: finding and describing them."""

import os
from pathlib import Path

from wattline.errors import InputError
from wattline.files import sha256
from wattline.records import SourceFile


def find(path: str, *, suffix: str) -> tuple[Path, ...]:
    """The files that `path` means, sorted. Raises InputError when there is none."""
    place = Path(path)
    if place.is_dir():
        found = sorted(match for match in place.rglob("*") if match.suffix.lower() == suffix)
        if not found:
            raise InputError(f"folder {path} holds no {suffix} file; put one there or correct `path` in params.yaml")
        return tuple(found)
    pattern = place.relative_to(place.anchor).as_posix()
    found = [place] if place.is_file() else sorted(Path(place.anchor).glob(pattern))
    files = tuple(match for match in found if match.is_file())
    if not files:
        raise InputError(f"{path} is no file, no folder, and matches nothing; correct `path` in params.yaml")
    return files


def describe(paths: tuple[Path, ...]) -> tuple[SourceFile, ...]:
    """Size and digest of each file, below the deepest folder that holds them all: no path of this machine."""
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return tuple(
        SourceFile(
            path=path.relative_to(common).as_posix(),
            sha256=sha256(path),
            size_bytes=path.stat().st_size,
            origin="local",
        )
        for path in paths
    )
