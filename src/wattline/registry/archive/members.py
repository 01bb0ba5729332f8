"""The files of a plain tar that nobody vouches for, read once from front to back and never further than allowed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from wattline.registry.archive import blocks
from wattline.registry.archive.faults import UnfitError
from wattline.registry.archive.layout import MANIFEST, check_name, shown
from wattline.registry.archive.limits import Limits

CHUNK = 1024**2


@dataclass(frozen=True)
class Member:
    """A regular file, as its header says. size: not yet read [bytes]"""

    name: str
    size: int


class Members:
    """What is in a stream. Raises UnfitError on everything that `wattline export` does not write.

    position: bytes that were really read
    """

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self.position = 0
        self._stream = stream
        self._limits = limits
        self._count = 0

    def following(self) -> Member | None:
        """The next file, whose content must be copied before the one after it; None at a proper end."""
        start = self.position
        block = self._take(blocks.BLOCK)
        if not any(block):
            self._finish(start)
            return None
        self._count += 1
        if self._count > self._limits.members:
            raise UnfitError(f"it holds more than {self._limits.members} files")
        return self._member(block, start)

    def copied(self, member: Member, write: Callable[[bytes], object]) -> str:
        """Hand the content of `member` to `write` in pieces; returns its SHA-256."""
        digest = hashlib.sha256()
        left = member.size
        while left:
            piece = self._take(min(left, CHUNK))
            left -= len(piece)
            digest.update(piece)
            write(piece)
        if any(self._take(len(blocks.padding(member.size)))):
            raise UnfitError(f"there are bytes between {member.name} and the next file")
        return digest.hexdigest()

    def _member(self, block: bytes, start: int) -> Member:
        """The regular file that `block` announces, and nothing else."""
        name = block[:100].partition(b"\0")[0].decode(errors="surrogateescape")
        if block[257:262] != b"ustar":
            raise UnfitError(f"there is no header of a plain tar at byte {start}")
        kind = block[156:157].decode("latin-1")
        if kind != "0":
            raise UnfitError(
                f"it holds {blocks.KINDS.get(kind, 'something unknown')} {shown(name)}, only files are let in"
            )
        if name != MANIFEST:
            check_name(name)
        try:
            member = Member(name, int(block[124:135].decode("ascii"), 8))
        except ValueError:
            raise UnfitError(f"the size of {name} is no number") from None
        if member.size > self._limits.of(name):
            raise UnfitError(f"{name} has {member.size} bytes, at most {self._limits.of(name)} are let in")
        if member.size < 0 or blocks.header(name, member.size) != block:
            raise UnfitError(f"the header of {name} is not as `wattline export` writes it")
        return member

    def _finish(self, start: int) -> None:
        rest = len(blocks.ending(start)) - blocks.BLOCK
        if any(self._take(rest)) or self._stream.read(1):
            raise UnfitError(f"there are bytes after its end at byte {start}")

    def _take(self, count: int) -> bytes:
        """Exactly `count` bytes, unless that is more than is ever read."""
        if self.position + count > self._limits.total_bytes:
            raise UnfitError(f"it has more than {self._limits.total_bytes} bytes")
        content = self._stream.read(count)
        self.position += len(content)
        if len(content) != count:
            raise UnfitError(f"it is cut off at byte {self.position}")
        return content
