"""Challengers that were taken back, remembered across restarts and seen by every process of a server."""

import fcntl
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.records import Record
from wattline.serving.inference import contents

LOG = logging.getLogger("wattline.serving")
MOST = 1000
"""Rejections that are kept, the newest ones."""


class Rejection(Record):
    """One challenger that was taken back.

    digest: of its candidate; reason: "errors" or "latency"
    """

    digest: str
    version: str
    reason: str
    time: datetime


class Rejections(Record):
    """Content of the file, the newest last."""

    rejected: tuple[Rejection, ...] = ()


class Rejected:
    """The list in one file. It may be asked from several threads and processes; what another one adds is seen.

    Nothing here raises: taking a challenger back must not fail for want of a disk.
    """

    def __init__(self, path: Path) -> None:
        """path: of the file; it need not be there yet"""
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._reasons: dict[str, str] = {}
        self._unwritten: dict[str, str] = {}
        self._unreadable: str | None = None

    def reason(self, digest: str) -> str | None:
        """Why the challenger with this digest was taken back; None where it was not. Costs a look at the file's times.

        A list that cannot be read rejects everything: the challenger may stand there.
        """
        with self._lock:
            self._refresh()
            return self._unwritten.get(digest) or self._unreadable or self._reasons.get(digest)

    def add(self, digest: str, *, version: str, reason: str) -> None:
        """Remember that a challenger was taken back: in the file, or else as long as this process lives."""
        one = Rejection(digest=digest, version=version, reason=reason, time=datetime.now(UTC))
        with self._lock:
            try:
                self._write(one)
            except (InputError, OSError) as error:
                LOG.error("a restart will not know that version %s was taken back: %s", version, error)
                self._unwritten[digest] = reason

    def _refresh(self) -> None:
        seen = _identity(self._path)
        if seen == self._seen:
            return
        self._seen, self._unreadable = seen, None
        try:
            self._reasons = {one.digest: one.reason for one in self._read().rejected}
        except (InputError, OSError) as error:
            self._unreadable = f"the list of rejected challengers cannot be read: {error}; correct or remove it"
            LOG.error("%s", self._unreadable)

    def _write(self, one: Rejection) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            others = [former for former in self._read().rejected if former.digest != one.digest]
            files.write_text(self._path, Rejections(rejected=(*others, one)[-MOST:]).to_json())

    def _read(self) -> Rejections:
        if not self._path.exists():
            return Rejections()
        return contents.parse(contents.read_bounded(self._path), Rejections, place=self._path)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Changes when the file is replaced: it is never changed in place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
