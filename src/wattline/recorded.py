"""Bytes on disk held against the records that were written with them."""

from collections.abc import Mapping
from pathlib import Path

from wattline import files
from wattline.errors import IntegrityError
from wattline.records import Check, Dataset, Manifest


def compare(folder: Path, recorded: Mapping[str, str]) -> Check:
    """The first file below `folder` whose bytes are not those recorded; where all are, the folder as a whole.

    recorded: path below `folder` -> SHA-256. Without any, the check does not hold.
    """
    for name, digest in sorted(recorded.items()):
        found = _sha256(folder / name)
        if not digest or found != digest:
            return Check(name=f"{folder / name}", expected=digest, found=found)
    all_files = f"{len(recorded)} files" if recorded else ""
    return Check(name=f"{folder}", expected=all_files, found=all_files)


def raw(dataset: Dataset | None) -> Check:
    """The rows that `ingest` wrote."""
    partitions = {f"{unit.name}.parquet": unit.sha256 for unit in dataset.units} if dataset is not None else {}
    return compare(files.RAW, partitions)


def prepared(manifest: Manifest | None) -> Check:
    """The rows that `prepare` wrote."""
    return compare(files.PREPARED, manifest.files if manifest is not None else {})


def _sha256(path: Path) -> str:
    try:
        return files.sha256(path)
    except (IntegrityError, OSError):
        return ""
