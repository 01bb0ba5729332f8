"""The files of a release: archive, card, bills, statement, audit log, and the digests of all of them."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from wattline import files, signing
from wattline.errors import InputError
from wattline.gitlab.packages import Package
from wattline.params import Params
from wattline.registry import auditing, moving, statements
from wattline.registry.archive import file_name, unpacked
from wattline.registry.model import Model
from wattline.release.choosing import Chosen
from wattline.signing import entry as entries
from wattline.signing import model_signature

CHECKSUMS = "SHA256SUMS"
AUDIT = "audit.jsonl"
SIGNED = (signing.FILE, entries.FILE, model_signature.FILE)


def make(model: Model, loaded: Params, chosen: Chosen, package: Package, folder: Path) -> list[Path]:
    """Write every file of the release to `folder`, the digests last.

    Archive and audit log tell the time at which they were made: those that were published by an earlier attempt are
    taken as they are, after a check, so that a second attempt publishes nothing else.
    """
    paths = [
        archive(model, chosen, package, folder),
        *_copied(chosen, folder),
        audit(loaded, package, folder),
    ]
    lines = [f"{files.sha256(path)}  {path.name}\n" for path in sorted(paths)]
    files.write_text(folder / CHECKSUMS, "".join(lines))
    return [*paths, folder / CHECKSUMS]


def archive(model: Model, chosen: Chosen, package: Package, folder: Path) -> Path:
    """The signed archive of the version. Raises InputError where one of something else was published."""
    number = str(chosen.version.version)
    name = file_name(model.name, number)

    def check(path: Path) -> None:
        with unpacked(path, model.trusted) as found:
            said = found.manifest
            if (said.name, said.version, said.candidate) != (model.name, number, chosen.evidence.candidate.digest):
                raise InputError(
                    f"{name} of package {package.name} {package.version} holds version {said.version} of {said.name}, "
                    f"not {chosen.label}; what was published is not changed: set a new tag"
                )

    return _published(package, name, folder, check) or moving.export(
        model, number, destination=folder, now=datetime.now(UTC)
    )


def audit(loaded: Params, package: Package, folder: Path) -> Path:
    """The signed audit log, up to today or up to the first attempt at this release."""
    found = _published(package, AUDIT, folder, lambda path: auditing.verify(loaded, against=path))
    if found is None:
        found = folder / AUDIT
        auditing.export(loaded, found, at=datetime.now(UTC))
    return found


def _published(package: Package, name: str, folder: Path, check: Callable[[Path], object]) -> Path | None:
    path = package.fetch(name, folder)
    if path is not None:
        check(path)
    return path


def _copied(chosen: Chosen, folder: Path) -> list[Path]:
    """Card, bills and what was signed: all of it follows from the version."""
    paths = [Path(shutil.copy(path, folder)) for path in sorted((chosen.evidence.folder / "cards").iterdir())]
    for name in SIGNED:
        content = chosen.envelope if name == signing.FILE else statements.fetch(chosen.version, name=name)
        if content is not None:
            files.write_bytes(folder / name, content)
            paths.append(folder / name)
    return paths
