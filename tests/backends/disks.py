"""Small disks of the test's own, to write on until they are full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import give_up

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Disk:
    """A small disk. It keeps whole pages, as this kind does: a file of one byte takes `PAGE` bytes.

    folder: where it is mounted
    """

    folder: Path

    @property
    def free(self) -> int:
        """What can still be written [bytes]."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, pages: int) -> None:
        """Fill the disk until only so many pages are free: with 0, 1, 2, ... every write is once the one that fails."""
        self._ballast.unlink(missing_ok=True)
        assert self.free >= pages * PAGE, f"{self.folder} has {self.free} bytes free, fewer than {pages} pages"
        with self._ballast.open("wb") as stream:
            if self.free > pages * PAGE:
                os.posix_fallocate(stream.fileno(), 0, self.free - pages * PAGE)

    @property
    def _ballast(self) -> Path:
        return self.folder / ".ballast"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Disk]:
    """A disk of `size` bytes at `folder`, where a write beyond it fails with ENOSPC. Gone at the end with all on it.

    Mounting needs root with the right to mount; elsewhere the test is skipped, in CI it fails.
    """
    folder.mkdir(parents=True)
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "wattline-test", folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        give_up(f"a small disk needs the right to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        # A process that still writes there keeps it no longer than itself.
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
