"""Where objects lie: the cache on this disk, or a remote as DVC reaches it."""

import hashlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from wattline import objects
from wattline.objects import FOLDER
from wattline.verification.hashes import Hashes

CHUNK = 1 << 20
WORKERS = 8
"""Objects that are read from a remote at once."""


class Place(Protocol):
    """Objects under the names of their bytes."""

    name: str

    def where(self, md5: str) -> str:
        """The object, as a person finds it."""

    def digests(self, names: Collection[str]) -> dict[str, str]:
        """Name -> MD5 of what is there, "" where nothing is. An object that cannot be read is left out."""

    def content(self, md5: str) -> bytes:
        """One object."""

    @property
    def failures(self) -> Mapping[str, str]:
        """Name -> why an object could not be read."""


class Local:
    """A cache of DVC 3 on this disk."""

    def __init__(self, cache: objects.Cache, hashes: Hashes) -> None:
        self.name = "cache"
        self.cache = cache
        self.hashes = hashes
        self.failures: dict[str, str] = {}

    def where(self, md5: str) -> str:
        path = self.cache.object(md5)
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

    def digests(self, names: Collection[str]) -> dict[str, str]:
        found = self.hashes.of(self.cache.object(md5) for md5 in names)
        return {md5: named(found[self.cache.object(md5)], md5) for md5 in names}

    def content(self, md5: str) -> bytes:
        return self.cache.object(md5).read_bytes()


class Remote:
    """The objects of a remote, by the file system that DVC has for its kind."""

    def __init__(self, store: Any, *, name: str) -> None:
        self.name = f"remote {name}"
        self.store = store
        self.bytes = 0
        self.failures: dict[str, str] = {}

    def where(self, md5: str) -> str:
        return str(self.store.fs.unstrip_protocol(self.store.oid_to_path(md5)))

    def digests(self, names: Collection[str]) -> dict[str, str]:
        with ThreadPoolExecutor(WORKERS) as pool:
            found = dict(zip(names, pool.map(self._digest, names), strict=True))
        return {md5: digest for md5, digest in found.items() if digest is not None}

    def content(self, md5: str) -> bytes:
        with self.store.fs.open(self.store.oid_to_path(md5), "rb") as stream:
            return bytes(stream.read())

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        """Name -> bytes of each object that is there."""
        with ThreadPoolExecutor(WORKERS) as pool:
            found = dict(zip(names, pool.map(self._size, names), strict=True))
        return {md5: size for md5, size in found.items() if size is not None}

    def _size(self, md5: str) -> int | None:
        try:
            return int(self.store.fs.info(self.store.oid_to_path(md5))["size"])
        except FileNotFoundError:
            return None

    def _digest(self, md5: str) -> str | None:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self.store.fs.open(self.store.oid_to_path(md5), "rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    self.bytes += len(chunk)
        except FileNotFoundError:
            return ""
        except Exception as error:
            # Each kind of remote has exceptions of its own, also for an object that is shorter than it says.
            self.failures[md5] = " ".join(str(error).split())[:200] or type(error).__name__
            return None
        return named(digest.hexdigest(), md5)


def named(digest: str, md5: str) -> str:
    """The digest as objects of that kind are called: a listing's ends in .dir."""
    return digest + FOLDER if digest and md5.endswith(FOLDER) else digest
