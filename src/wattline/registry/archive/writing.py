"""Files into one plain tar, written whole or not at all."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from wattline.registry.archive import blocks
from wattline.registry.archive.faults import UnfitError
from wattline.registry.archive.layout import MANIFEST
from wattline.registry.archive.manifest import ArchivedFile
from wattline.registry.archive.members import CHUNK

Source = bytes | Path
"""Where a file's content is."""


def measured(source: Source) -> ArchivedFile:
    """Digest and size of what is there now."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(source):
        digest.update(piece)
        size += len(piece)
    return ArchivedFile(sha256=digest.hexdigest(), size_bytes=size)


def write(path: Path, envelope: bytes, sources: Mapping[str, Source], files: Mapping[str, ArchivedFile]) -> None:
    """Write the archive beside `path`, then put it there.

    envelope: the signed manifest; it comes first, for it says what else may come
    Raises UnfitError when the content of a source is not, or no longer, as in `files`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            _append(stream, MANIFEST, envelope, measured(envelope))
            for name, described in sorted(files.items()):
                _append(stream, name, sources[name], described)
            stream.write(blocks.ending(stream.tell()))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _append(stream: BinaryIO, name: str, source: Source, described: ArchivedFile) -> None:
    stream.write(blocks.header(name, described.size_bytes))
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(source):
        digest.update(piece)
        size += stream.write(piece)
    if (digest.hexdigest(), size) != (described.sha256, described.size_bytes):
        raise UnfitError(f"{name} changed while it was read")
    stream.write(blocks.padding(size))


def _pieces(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
