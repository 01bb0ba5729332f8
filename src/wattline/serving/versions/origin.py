"""Where the served version comes from: a folder that a command replaces, or an alias in the registry."""

import contextlib
import hashlib
import os
import shutil
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from wattline import files, signing
from wattline.errors import InputError
from wattline.records import Champion
from wattline.serving.inference import contents
from wattline.serving.inference.contents import CANDIDATE, GOLDEN, GRAPH, SIGNATURE
from wattline.serving.versions import loading
from wattline.serving.versions.copies import Copies
from wattline.serving.versions.loading import CHAMPION, LoadError
from wattline.serving.versions.tracking_server import PROMOTION, TrackingServer, Version
from wattline.serving.web import Credentials
from wattline.signing import entry as entries

SMALL = (CANDIDATE, CHAMPION, signing.FILE, entries.FILE)
SERVED = (*SMALL, SIGNATURE, GOLDEN, GRAPH)
"""Everything that serving needs. Weights are recorded and signed, but they are in the graph already."""
PROMOTED = "champion"
"""The alias whose version an entry of the audit log made champion."""
ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 0.05


class Origin(Protocol):
    """Where versions come from. Every method may block, and raises LoadError when there is no version."""

    def fingerprint(self) -> str:
        """Cheap to ask; another answer means that there is another version."""
        ...

    def fetch(self) -> Path:
        """A verified copy of the newest version, which nobody else changes."""
        ...

    def accept(self, copy: Path) -> None:
        """Remember that `copy` serves."""
        ...

    def discard(self, copy: Path) -> None:
        """Forget `copy`, which cannot be loaded: what is signed may be mended at the origin under the same name."""
        ...

    def last(self) -> Path | None:
        """The copy that was accepted last, for a start while the origin does not answer."""
        ...


class FolderOrigin:
    """What `wattline champion` leaves in a folder, or anything with the same files in it."""

    def __init__(self, folder: Path, *, cache: Path) -> None:
        """cache: where copies are kept"""
        self._folder, self._copies = folder, Copies(cache)

    def fingerprint(self) -> str:
        """Digest of the small files' content and of all files' identity, size and times."""
        found = hashlib.sha256()
        for name in SERVED:
            path = self._folder / name
            # What cannot be read counts by its identity alone, and `fetch` says what is wrong with it.
            with contextlib.suppress(OSError, InputError):
                status = path.stat()
                found.update(f"{name} {status.st_ino} {status.st_size} {status.st_mtime_ns}\n".encode())
                if name in SMALL:
                    found.update(contents.read_bounded(path))
        return found.hexdigest()

    def fetch(self) -> Path:
        """Copy the folder, verify the copy, and give it. Raises LoadError: missing, digest or mismatch."""
        for attempt in range(ATTEMPTS):
            try:
                return self._copy()
            except LoadError:
                # It may have been replaced in the middle: between two renames there is no folder at all.
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        raise AssertionError("unreachable")

    def accept(self, copy: Path) -> None:
        self._copies.accept(copy)

    def discard(self, copy: Path) -> None:
        self._copies.discard(copy)

    def last(self) -> Path | None:
        return self._copies.last()

    def _copy(self) -> Path:
        with self._copies.fresh() as fresh:
            _snapshot(self._folder, fresh)
            if not (fresh / CANDIDATE).is_file():
                raise LoadError(
                    f"{self._folder} holds no model; run `wattline champion` after a promotion, or serve another "
                    "folder",
                    reason="missing",
                )
            loading.read(fresh)
            return self._copies.keep(fresh, files.directory_digest(fresh))


class RegistryOrigin:
    """The version that an alias of the registry points to, over HTTP, without MLflow's own client."""

    def __init__(self, uri: str, name: str, alias: str, *, cache: Path, credentials: Credentials | None = None) -> None:
        """Serve `alias` of the registered model `name`.

        uri: of the tracking server
        Raises InputError when it is no HTTP address.
        """
        self._server = TrackingServer(uri, credentials or Credentials())
        self._name, self._alias = name, alias
        self._copies = Copies(cache)

    def fingerprint(self) -> str:
        """Which version, with which files, signature and entry. Raises LoadError: missing or unreachable."""
        return self._version().key

    def fetch(self) -> Path:
        """Download and verify the version, unless that was done before. Raises LoadError."""
        for _ in range(ATTEMPTS):
            version = self._version()
            copy = self._copies.find(version.key) or self._download(version)
            # An alias that moved meanwhile may have been moved away from something bad.
            if self.fingerprint() == version.key:
                break
        return copy

    def accept(self, copy: Path) -> None:
        self._copies.accept(copy)

    def discard(self, copy: Path) -> None:
        self._copies.discard(copy)

    def last(self) -> Path | None:
        return self._copies.last()

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _version(self) -> Version:
        found = self._server.version(self._name, self._alias)
        # A challenger may have been a champion before; what made it one says nothing about the trial.
        return found if self._alias == PROMOTED else replace(found, promotion="")

    def _download(self, version: Version) -> Path:
        root = self._server.artifacts(version)
        with self._copies.fresh() as fresh:
            for name in (CANDIDATE, SIGNATURE, GOLDEN, GRAPH):
                self._server.download(f"{root}/candidate/{name}", fresh / name, limit=contents.limit(name))
            if version.signer:
                path = f"{root}/statements/{version.number}/{signing.FILE}"
                self._server.download(path, fresh / signing.FILE, limit=contents.limit(signing.FILE))
            if version.promotion:
                self._download_entry(version, f"{root}/statements/{version.number}/{entries.FILE}", fresh)
            champion = Champion(name=version.name, version=version.number, digest=version.digest)
            files.write_text(fresh / CHAMPION, champion.to_json())
            loading.read(fresh)
            return self._copies.keep(fresh, version.key)

    def _download_entry(self, version: Version, path: str, fresh: Path) -> None:
        """Take the entry that the tag names. One that cannot be read is left for who verifies it."""
        target = fresh / entries.FILE
        self._server.download(path, target, limit=contents.limit(entries.FILE))
        with contextlib.suppress(InputError):
            found = entries.peek(contents.read_bounded(target)).sequence
            if str(found) != version.promotion:
                raise LoadError(
                    f"the tag {PROMOTION} of version {version.number} of {version.name} names entry "
                    f"{version.promotion}, entry {found} lies there: a promotion is under way, or run "
                    "`wattline recover`",
                    reason="unreachable",
                )


def _snapshot(source: Path, target: Path) -> None:
    """Copy what is served from `source`, all of it from one folder also when another takes its place meanwhile."""
    try:
        folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        for name in SERVED:
            with contextlib.suppress(FileNotFoundError):
                _copy_file(name, folder, target / name)
    finally:
        os.close(folder)


def _copy_file(name: str, folder: int, target: Path) -> None:
    # A pipe of that name would otherwise be waited for.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > contents.limit(name):
            reason = f"has {status.st_size} bytes, at most {contents.limit(name)} are loaded; deploy a smaller model"
            raise LoadError(f"{name} is no file or {reason}", reason="digest")
        with os.fdopen(descriptor, "rb", closefd=False) as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    finally:
        os.close(descriptor)
