"""MD5 of many files at once: as DVC names its objects, and each file once, however many links lead to it."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wattline import objects

WORKERS = max(2, min(8, os.cpu_count() or 2))


class Hashes:
    """Digests of one look at the disk; `bytes` were read for them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._known: dict[tuple[int, int, int, int], str] = {}

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """MD5 of each file, "" where there is none. Raises OSError where one cannot be read."""
        wanted = list(dict.fromkeys(paths))
        keys = {path: _identity(path) for path in wanted}
        # A link and the object that it leads to are one file, which is read once.
        first = {key: path for path, key in keys.items() if key is not None and key not in self._known}
        with ThreadPoolExecutor(WORKERS) as pool:
            for key, digest in zip(first, pool.map(objects.file_digest, first.values()), strict=True):
                self._known[key] = digest
                self.bytes += key[2]
        return {path: "" if key is None else self._known[key] for path, key in keys.items()}


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    """What tells a file from others and from what it was before; None where there is no file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if path.is_file() else None
