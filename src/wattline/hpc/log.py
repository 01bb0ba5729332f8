"""The log of a job as it grows: line by line, whatever happens to the file."""

import os
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20


class Log:
    """Reads a log that a job writes.

    recent_bytes: how much of what is there already is given; None gives everything
    """

    def __init__(self, path: Path, *, recent_bytes: int | None = None) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._rest = b""
        self._told = False
        if recent_bytes is not None and path.exists():
            self._inode = path.stat().st_ino
            self._offset = max(0, path.stat().st_size - recent_bytes)

    def lines(self) -> Iterator[str]:
        """The whole lines that came since the last call, and what happened to the file."""
        try:
            with self._path.open("rb") as stream:
                yield from self._turned(os.fstat(stream.fileno()))
                stream.seek(self._offset)
                while chunk := stream.read(CHUNK_BYTES):
                    self._offset += len(chunk)
                    *whole, self._rest = (self._rest + chunk).split(b"\n")
                    yield from (line.decode(errors="replace") for line in whole)
        except FileNotFoundError:
            if self._inode is not None and not self._told:
                self._told = True
                yield f"the log {self._path} has vanished; the job goes on, and its outcome will be known"
        except OSError as error:
            if not self._told:
                self._told = True
                yield f"the log {self._path} cannot be read ({error.strerror}); the job goes on"

    def end(self) -> Iterator[str]:
        """What is left, the last line unfinished or not."""
        yield from self.lines()
        if self._rest:
            yield self._rest.decode(errors="replace")
            self._rest = b""

    def _turned(self, found: os.stat_result) -> Iterator[str]:
        """Begin anew in a file that was replaced or cut."""
        if self._inode is not None and (found.st_ino != self._inode or found.st_size < self._offset):
            self._offset, self._rest = 0, b""
            yield f"the log {self._path} was replaced or cut; it goes on from its new beginning"
        self._inode, self._told = found.st_ino, False
