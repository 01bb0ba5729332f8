"""Results on the disk, where a person named the path: what the disk refuses is told in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline.errors import InputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise InputError naming `path` where the block cannot write to it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; name another path") from None
