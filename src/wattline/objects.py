"""DVC's content addresses: MD5 of a file, MD5 of the listing of a folder, and where a cache keeps both."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wattline.errors import IntegrityError

FOLDER = ".dir"
_MD5 = partial(hashlib.md5, usedforsecurity=False)


def digest(path: Path) -> str:
    """What dvc.lock would say of `path`; empty where there is nothing."""
    if path.is_dir():
        return listing_digest(listing(path))
    return file_digest(path) if path.is_file() else ""


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, _MD5).hexdigest()


def listing(folder: Path) -> dict[str, str]:
    """Path below `folder` -> MD5 of every file there."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def listing_digest(entries: Mapping[str, str]) -> str:
    """Address of a folder with these files."""
    rows = [{"md5": md5, "relpath": path} for path, md5 in sorted(entries.items())]
    return _MD5(json.dumps(rows, sort_keys=True).encode()).hexdigest() + FOLDER


@dataclass(frozen=True)
class Cache:
    """A cache of DVC 3. It is read, never written, and what it holds is believed only after it was hashed."""

    folder: Path

    def object(self, md5: str) -> Path:
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def entries(self, md5: str) -> dict[str, str] | None:
        """Path -> MD5 of the files of a folder; None when the cache does not know it.

        Raises IntegrityError when the listing is damaged.
        """
        path = self.object(md5)
        if not path.is_file():
            return None
        if file_digest(path) + FOLDER != md5:
            raise IntegrityError(f"DVC's cache object {path} is damaged: its MD5 is not its name; delete it and retry")
        return {row["relpath"]: row["md5"] for row in json.loads(path.read_bytes())}

    def holds(self, md5: str) -> bool:
        """Whether a folder and all of its files are there, right or wrong."""
        entries = self.entries(md5)
        return entries is not None and all(self.object(one).is_file() for one in entries.values())
