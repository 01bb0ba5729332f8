"""The server's own copies of versions: placed whole, pointed at once they served, and the oldest removed."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline import files
from wattline.serving.versions import loading
from wattline.serving.versions.loading import LoadError

LOG = logging.getLogger("wattline.serving")
CURRENT = "current"
KEPT = 3
"""Copies that stay, the one that serves among them."""
ABANDONED_SECONDS = 3600.0
"""Age after which a copy that was never finished is removed [s]."""


class Copies:
    """Copies below one folder, shared by all processes of a server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """The copy called `key`; None where there is none, or where its bytes are not those of its record any more."""
        path = self._folder / key
        try:
            loading.read(path)
        except LoadError:
            return None
        return path

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give an empty folder to fill for `keep`; it vanishes when the block ends.

        Raises LoadError, reason copy, in the place of every OSError of the block.
        """
        path = self._folder / f".{os.getpid()}.{threading.get_ident()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # What a killed process of the same number left: in a container, every run may have that number.
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            yield path
        except OSError as error:
            text = (
                f"the model cannot be copied to {self._folder}: {error}; make room there, or let this user write there"
            )
            raise LoadError(text, reason="copy") from None
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, fresh: Path, key: str) -> Path:
        """Make `fresh` the copy called `key`. One that is there and intact stays: it has the same content."""
        path = self._folder / key
        if self.find(key) is None:
            shutil.rmtree(path, ignore_errors=True)
            try:
                fresh.rename(path)
            except OSError:
                if not path.is_dir():  # else another process was faster
                    raise
        os.utime(path)
        return path

    def accept(self, path: Path) -> None:
        """Remember that the copy at `path` serves, and remove all but the newest ones."""
        try:
            files.write_text(self._folder / CURRENT, path.name + "\n")
            self._prune(path)
        except OSError as error:  # it serves all the same
            LOG.error("a restart without the origin will not find this version: %s", error)

    def discard(self, path: Path) -> None:
        """Remove the copy at `path`, which cannot be loaded, unless it is the one that was accepted last."""
        if path != self.last():
            shutil.rmtree(path, ignore_errors=True)

    def last(self) -> Path | None:
        """The copy that was accepted last; None where there is none."""
        try:
            name = (self._folder / CURRENT).read_text().strip()
        except (OSError, ValueError):
            return None
        return self.find(name) if name and Path(name).name == name else None

    def _prune(self, serving: Path) -> None:
        aged = sorted(((_modified(path), path) for path in self._folder.iterdir() if path.is_dir()), reverse=True)
        finished = [path for _, path in aged if not path.name.startswith(".") and path != serving]
        abandoned = [
            path for when, path in aged if path.name.startswith(".") and when < time.time() - ABANDONED_SECONDS
        ]
        for path in (*finished[KEPT - 1 :], *abandoned):
            shutil.rmtree(path, ignore_errors=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process removed it
        return 0.0
