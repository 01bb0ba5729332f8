"""Whether a file's bytes are of the kind that its name says, and no private key leaves or enters with it."""

from pathlib import Path

from wattline.registry.archive.faults import UnfitError
from wattline.registry.contents import CHECKS, containers, text

PRIVATE = b"PRIVATE KEY-----"


def check(folder: Path, name: str) -> None:
    """Raise UnfitError unless `name` below `folder` is what its suffix says, and no private key is in its text."""
    path = folder / name
    fault_of = CHECKS.get(path.suffix, text.markdown_fault)
    fault = containers.fault(path) or fault_of(path)
    if fault is not None:
        raise UnfitError(f"{name} {fault}")
    if PRIVATE in path.read_bytes():
        raise UnfitError(f"{name} holds a private key")
