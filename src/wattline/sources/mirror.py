"""Public datasets that a site keeps a copy of: `WATTLINE_DATA_MIRROR/<dataset>/`."""

from pathlib import Path

from wattline.errors import InputError
from wattline.files import sha256
from wattline.records import SourceFile
from wattline.settings import settings


def folder(dataset: str) -> Path | None:
    """The mirror's folder of `dataset`; None where no mirror is configured or it has no such folder.

    Raises InputError when the configured mirror is not a folder.
    """
    mirror = settings().data_mirror
    if mirror is None:
        return None
    if not mirror.is_dir():
        raise InputError(f"WATTLINE_DATA_MIRROR is {str(mirror)!r}, which is not a folder; correct or unset it")
    return mirror / dataset if (mirror / dataset).is_dir() else None


def describe(path: Path, *, root: Path) -> SourceFile:
    """Size and digest of one file of a mirror."""
    if not path.is_file():
        raise InputError(f"the data mirror lacks {path.relative_to(root.parent)}; complete it or unset the mirror")
    return SourceFile(
        path=path.relative_to(root).as_posix(), sha256=sha256(path), size_bytes=path.stat().st_size, origin="mirror"
    )
