"""The SQLite file of observations: opened by several processes, set up once, moved aside when it is corrupt."""

import fcntl
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wattline.errors import InputError

LOG = logging.getLogger("wattline.serving")
APPLICATION = 0x57415454
FORMAT = 1
BUSY_SECONDS = 5.0
"""How long one process waits for another's transaction, which takes tens of milliseconds."""
PAGE_BYTES = 2048
"""A sample changes two pages of its unit: small ones keep what is written for it small."""
CHECKPOINT_PAGES = 8192
"""Pages in the write-ahead log before they are copied to their place."""
CACHE_KIBIBYTES = 32768
CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

TABLES = (
    "CREATE TABLE layout (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE)",
    """CREATE TABLE unit (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        layout INTEGER NOT NULL REFERENCES layout (id),
        newest INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        times BLOB NOT NULL,
        rows BLOB NOT NULL
    )""",
    "CREATE INDEX unit_seen ON unit (seen)",
    f"PRAGMA user_version = {FORMAT}",
    f"PRAGMA application_id = {APPLICATION}",
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file at `path`, or make it. A corrupt one is moved aside with a warning, and an empty one made.

    The connection may be used from any thread, by one at a time, and not after a fork.
    Raises InputError when the file holds something else or cannot be written.
    """
    try:
        with _alone(path):
            try:
                return _connect(path)
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error) or _is_foreign(path):
                    raise
                _move_aside(path, error)
                return _connect(path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from None


def move_aside(path: Path, *, identity: tuple[int, int], error: sqlite3.Error) -> None:
    """Move the corrupt file that was opened as `identity` out of the way, unless another process has done so."""
    with _alone(path):
        if identify(path) == identity:
            _move_aside(path, error)


def identify(path: Path) -> tuple[int, int] | None:
    """Which file lies at `path`; None: there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the bytes of the file are at fault, and not the disk, the permissions or another process."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in CORRUPT


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No two processes set up or move the file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    def pragma(text: str) -> int:
        return int(connection.execute(f"PRAGMA {text}").fetchone()[0])

    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and not pragma("application_id"):
        # Before the write-ahead log is switched on: the file itself says from its first moment whose it is.
        connection.executescript(f"BEGIN IMMEDIATE; {'; '.join(TABLES)}; COMMIT")
    if pragma("application_id") != APPLICATION:
        raise _unusable(path, "it is a database of something else")
    if pragma("user_version") != FORMAT:
        raise _unusable(path, "another version of Wattline made it")
    connection.execute("PRAGMA journal_mode = WAL")
    # A kill loses nothing, a power cut at most the newest samples: the file stays whole in both.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    # Fails here rather than at the first sample when the tables are unreadable or the file cannot be written.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SELECT (SELECT max(id) FROM layout), (SELECT max(seen) FROM unit)").fetchone()
    connection.execute("COMMIT")


def _is_foreign(path: Path) -> bool:
    """Whether it never was a database: a file of zeros may be what a power cut left of one, a text is not."""
    with path.open("rb") as stream:
        start = stream.read(16)
    return start != b"SQLite format 3\0" and any(start)


def _move_aside(path: Path, error: sqlite3.Error) -> None:
    aside = f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(aside + suffix))
    LOG.warning("%s is corrupt (%s): moved to %s; units start with empty windows", path, error, aside)


def _unusable(path: Path, reason: str) -> InputError:
    return InputError(f"serving.observe.file {path} cannot be used: {reason}; move it away or name another file")
