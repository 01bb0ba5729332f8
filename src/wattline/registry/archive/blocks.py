"""The one form of plain tar (POSIX.1-1988 ustar) that archives have: one name and size, one sequence of bytes.

`tarfile` is not used for it. Its headers differ between releases of Python, and its reader follows extensions that an
archive must not have. What is written here is readable by every tar.
"""

BLOCK = 512
RECORD = 20 * BLOCK
"""A tar ends at a multiple of this [bytes]."""
KINDS = {
    "1": "a hard link",
    "2": "a symbolic link",
    "3": "a device",
    "4": "a device",
    "5": "a folder",
    "6": "a pipe",
    "7": "a contiguous file",
    "D": "a GNU folder listing",
    "K": "a GNU long link name",
    "L": "a GNU long name",
    "M": "a continuation of another volume",
    "N": "an old GNU long name",
    "S": "a sparse file",
    "V": "a volume label",
    "X": "a PAX header",
    "g": "a PAX header",
    "x": "a PAX header",
}
"""Type flag of a header -> what is not in an archive."""


def header(name: str, size: int) -> bytes:
    """The header of a regular file: mode 0644, owner 0, no time.

    name: ASCII, at most 100 characters
    size: less than 8 GiB [bytes]
    """
    before = name.encode("ascii").ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size
    before += b"%011o\0" % 0
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after


def padding(size: int) -> bytes:
    """What fills the last block of a file of `size` bytes."""
    return bytes(-size % BLOCK)


def ending(position: int) -> bytes:
    """What follows the last file of an archive, which ends at `position`."""
    return bytes(2 * BLOCK + -(position + 2 * BLOCK) % RECORD)
