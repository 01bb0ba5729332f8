"""What is wrong with an archive, told without a remedy: who packs and who unpacks have different ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wattline.errors import InputError, IntegrityError


class UnfitError(Exception):
    """Something that must not move between sites. The message is a reason, to be put into a sentence."""


class UntrustedError(UnfitError):
    """A key that nobody here vouches for. The message says how to trust it: that is the remedy."""


@contextmanager
def told(what: str, *, remedy: str) -> Iterator[None]:
    """Turn a fault into one sentence about `what`.

    Raises IntegrityError for what is wrong with the content, InputError for an unknown key or a failing disk.
    """
    try:
        yield
    except UntrustedError as fault:
        raise InputError(f"{what}: {fault}") from None
    except UnfitError as fault:
        raise IntegrityError(f"{what}: {fault}; {remedy}") from None
    except OSError as error:
        raise InputError(f"{what}: {error.strerror or error}; check the path and the disk, then try again") from None


@contextmanager
def unfit(folder: Path) -> Iterator[None]:
    """Turn what the platform says of files below `folder` into a fault: its remedies are for a working tree."""
    try:
        yield
    except (InputError, IntegrityError) as error:
        raise UnfitError(str(error).rpartition("; ")[0].replace(f"{folder}/", "") or str(error)) from None
