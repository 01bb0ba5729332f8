"""Pickles, archives and compressed files, told by their first bytes (and a ZIP by its last)."""

import lzma
import pickletools
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

# Each at the place where its own tools look for it: https://www.garykessler.net/library/file_sigs.html
BEGINNINGS = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"PK\x07\x08": "a ZIP archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"!<arch>\n": "an ar archive",
    b"070701": "a cpio archive",
    b"070707": "a cpio archive",
    b"\x93NUMPY": "a NumPy file, which may hold pickles",
}
TAR_MAGIC, TAR_PLACE = b"ustar", 257
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_PLACES = (0, *(512 << power for power in range(12)))
"""The HDF5 superblock may lie behind a block of the user: at 0, 512, 1024, 2048, ... bytes; looked for up to 1 MiB."""
NAMING = frozenset({"GLOBAL", "STACK_GLOBAL", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"})
"""Operations of a pickle that fetch something by its name."""
CALLING = frozenset({"REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
"""Operations of a pickle that call what was fetched."""
ZIP_END, ZIP_END_SIZE, LONGEST_COMMENT = b"PK\x05\x06", 22, 65535


def fault(path: Path) -> str | None:
    """What `path` is if it is a container or a pickle, as the end of a sentence; None when it is neither."""
    with path.open("rb") as stream:
        return _archived(stream) or _compressed(stream) or _pickled(stream)


def _archived(stream: BinaryIO) -> str | None:
    beginning = stream.read(max(map(len, BEGINNINGS)))
    for magic, kind in BEGINNINGS.items():
        if beginning.startswith(magic):
            return f"is {kind}"
    if _at(stream, TAR_PLACE, len(TAR_MAGIC)) == TAR_MAGIC:
        return "is a tar archive"
    if any(_at(stream, place, len(HDF5_MAGIC)) == HDF5_MAGIC for place in HDF5_PLACES):
        return "is an HDF5 file"
    return "is a ZIP archive behind something else" if _ends_as_zip(stream) else None


def _at(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)


def _compressed(stream: BinaryIO) -> str | None:
    """The format, if its decompressor finds a beginning: two bytes of magic may be the length of a header, too."""
    content = _at(stream, 0, 65536)
    if content[:2] == b"\x1f\x8b" or (content[:1] == b"x" and int.from_bytes(content[:2], "big") % 31 == 0):
        try:
            zlib.decompressobj(wbits=47).decompress(content, 1)
        except zlib.error:
            return None
        return "is compressed with zlib" if content[:1] == b"x" else "is compressed with gzip"
    if content[:1] == b"]":
        try:
            lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << 30).decompress(content, 1)
        except lzma.LZMAError:
            return None
        return "is compressed with lzma"
    return None


def _ends_as_zip(stream: BinaryIO) -> bool:
    """Whether the file ends with the record that ZIP tools read first, followed by a comment up to the very end."""
    size = stream.seek(0, 2)
    tail = _at(stream, max(0, size - ZIP_END_SIZE - LONGEST_COMMENT), ZIP_END_SIZE + LONGEST_COMMENT)
    place = tail.rfind(ZIP_END)
    while place >= 0:
        record = tail[place : place + ZIP_END_SIZE]
        if len(record) == ZIP_END_SIZE:
            (comment,) = struct.unpack("<H", record[-2:])
            if place + ZIP_END_SIZE + comment == len(tail):
                return True
        place = tail.rfind(ZIP_END, 0, place)
    return False


def _pickled(stream: BinaryIO) -> str | None:
    return "is a pickle" if _is_pickle(stream) else None


def _is_pickle(stream: BinaryIO) -> bool:
    """Whether an unpickler would run something of it, or read it up to its end; nothing is run here.

    Protocols 0 and 1 have no magic and may look like text: three operations hold one value at most, and "No." is a
    sentence. The magic of the others may be the length of a safetensors header: no operation follows then.
    """
    stream.seek(0)
    operations: list[str] = []
    try:
        for operation, _, _ in pickletools.genops(stream):
            operations.append(operation.name)
            if _calls(operations):
                return True
    except Exception:  # of whatever sort: genops promises none
        return operations[:1] == ["PROTO"] and len(operations) > 2
    return len(operations) > 3 or not NAMING.isdisjoint(operations)


def _calls(operations: list[str]) -> bool:
    """Whether the last of `operations` calls something that one before it fetched."""
    if operations[-1] == "INST":
        return "MARK" in operations
    return operations[-1] in CALLING and not NAMING.isdisjoint(operations)
