"""Make one archive of a version: equal content, time and key, equal bytes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from wattline import files
from wattline.errors import InputError
from wattline.records import Candidate
from wattline.registry.archive import belonging, entries, envelopes, layout, manifest
from wattline.registry.archive.faults import UnfitError, told, unfit
from wattline.registry.archive.limits import Limits
from wattline.registry.archive.manifest import ArchiveManifest
from wattline.registry.archive.writing import Source, measured, write
from wattline.registry.evidence import RECORD
from wattline.signing import PAYLOAD_TYPE, PrivateKey, Statement

REMEDY = "correct it, or register the candidate again"


def file_name(name: str, version: str) -> str:
    """What the archive of a version is called."""
    return f"{name}-{version}.wattline.tar"


def pack(
    folder: Path,
    statement: bytes,
    history: Sequence[bytes],
    *,
    destination: Path,
    key: PrivateKey,
    site: str,
    now: datetime,
) -> Path:
    """Write the archive of the version in `folder`, in one step, and return where it is.

    folder: holds candidate/, reports/, cards/ and provenance/; what else lies there stays there
    statement: its envelope, which must be about these files
    history: the envelopes of the audit log about this version, oldest first
    destination: a file, replaced where there is one, or a folder that is there
    key: signs the manifest
    site: what this site calls itself
    now: with its time zone
    Raises IntegrityError when something must not leave or is about something else, InputError for a bad site or disk.
    """
    with told(f"{folder} cannot be exported", remedy=REMEDY):
        said = envelopes.statement(envelopes.unopened(statement, kind=PAYLOAD_TYPE, what="its statement"))
        payloads = entries.unopened(history)
        sources = _sources(folder, statement, entries.joined(history))
        described = _described(folder, said, payloads, sources, key=key.public.id, site=site, now=now)
        manifest.check_sizes(described, Limits())
        belonging.check(folder, described, said)
        entries.check(payloads, described)
        path = destination / file_name(described.name, described.version) if destination.is_dir() else destination
        write(path, manifest.sealed(described, key), sources, described.files)
    return path


def _described(
    folder: Path,
    said: Statement,
    payloads: Sequence[bytes],
    sources: Mapping[str, Source],
    *,
    key: str,
    site: str,
    now: datetime,
) -> ArchiveManifest:
    with unfit(folder):
        candidate = files.read_record(folder / "candidate" / RECORD, Candidate)
    try:
        return ArchiveManifest(
            format=manifest.FORMAT,
            name=said.predicate.name,
            version=said.predicate.version,
            candidate=candidate.digest,
            data=candidate.data,
            exported=now.astimezone(UTC),
            key=key,
            site=site,
            entries=len(payloads),
            last=entries.last(payloads),
            files={name: measured(source) for name, source in sources.items()},
        )
    except ValidationError as error:
        raise InputError(f"{folder} cannot be exported so: {manifest.first_of(error)}; correct it") from None


def _sources(folder: Path, statement: bytes, history: bytes) -> Mapping[str, Source]:
    """Name in the archive -> file. Raises UnfitError naming the first that is no regular file or must not move."""
    found: dict[str, Source] = {layout.STATEMENT: statement, layout.HISTORY: history}
    for path in sorted(path for part in layout.FOLDERS for path in (folder / part).glob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            raise UnfitError(f"it holds {layout.shown(name)}, which is no regular file")
        found[name] = path
    layout.check_names(found)
    return found
