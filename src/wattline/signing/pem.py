"""PEM files of keys: written once with their modes, and read only where nobody else can."""

import os
from pathlib import Path

from wattline.errors import InputError

LARGEST = 16384
"""Bytes of a PEM file that are looked at."""


def write_pair(private: Path, private_pem: bytes, public: Path, public_pem: bytes) -> None:
    """Write both halves of a pair, the private one with mode 0600. Raises InputError when either is there already."""
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if private.exists():
        raise taken(private)
    # The public half first: of two who start at once, the second stops here and no halves of two pairs meet.
    _write_once(public, public_pem, mode=0o644)
    _write_once(private, private_pem, mode=0o600)


def read(path: Path, *, private: bool) -> bytes:
    """Content of a PEM file. Raises OSError or ValueError when there is none, InputError when others may read it."""
    with path.open("rb") as stream:
        if private and os.fstat(stream.fileno()).st_mode & 0o077:
            raise InputError(f"{path} can be read or written by others than its owner; run `chmod 600` on it")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"{path} is larger than {LARGEST} bytes, which no key is; name another file")
    return content


def taken(path: Path) -> InputError:
    """What is said where a key would be overwritten."""
    return InputError(f"{path} exists already and is not overwritten; choose another --folder or move it away")


def _write_once(path: Path, content: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise taken(path) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
