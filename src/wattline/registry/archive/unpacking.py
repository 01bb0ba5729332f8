"""Take an archive from another site apart: everything in it is verified, or nothing of it is left behind."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from wattline.errors import InputError
from wattline.registry.archive import belonging, entries, envelopes, layout, manifest
from wattline.registry.archive.faults import UnfitError, told
from wattline.registry.archive.limits import Limits
from wattline.registry.archive.manifest import ArchiveManifest
from wattline.registry.archive.members import Member, Members
from wattline.registry.evidence import Evidence
from wattline.signing import PAYLOAD_TYPE, PublicKey, Statement, dsse

REMEDY = "nothing of it was kept; ask the site that exported it for a new archive"


@dataclass(frozen=True)
class Unpacked:
    """A verified archive, while its context lasts.

    folder: private to this process; holds candidate/, reports/, cards/, provenance/, the statement and the history
    envelope: the signed statement as it was exported
    history: the envelopes of the other site's audit log about this version, oldest first
    """

    folder: Path
    manifest: ArchiveManifest
    statement: Statement
    envelope: bytes
    history: tuple[bytes, ...]
    evidence: Evidence


@contextmanager
def unpacked(archive: Path, trusted: Sequence[PublicKey], *, limits: Limits | None = None) -> Iterator[Unpacked]:
    """The verified content of `archive` in a folder that vanishes afterwards.

    trusted: keys that may have signed the manifest, the statement and each entry of the history
    limits: how much is looked at
    Raises IntegrityError naming what is wrong with the archive, InputError when it cannot be read or its signer is not
    trusted; nothing stays on the disk.
    """
    what = f"{archive} cannot be imported"
    if not trusted:
        raise InputError(f"{what}: no public key is trusted; name one in registry.import_keys")
    with ExitStack() as stack:
        with told(what, remedy=REMEDY):
            if not archive.is_file():
                raise InputError(f"{what}: there is no such file; check the path")
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="wattline-")))
            content = _verified(archive, folder, trusted, limits or Limits())
        yield content


def _verified(archive: Path, folder: Path, trusted: Sequence[PublicKey], limits: Limits) -> Unpacked:
    with archive.open("rb") as stream:
        described = _extract(stream, folder, trusted, limits)
    envelope = (folder / layout.STATEMENT).read_bytes()
    payload = envelopes.opened(envelope, trusted, kind=PAYLOAD_TYPE, what="its statement").payload
    statement = envelopes.statement(payload)
    history = entries.split((folder / layout.HISTORY).read_bytes())
    payloads = entries.opened(history, trusted)
    evidence = belonging.check(folder, described, statement)
    entries.check(payloads, described)
    return Unpacked(folder, described, statement, envelope, history, evidence)


def _extract(stream: BinaryIO, folder: Path, trusted: Sequence[PublicKey], limits: Limits) -> ArchiveManifest:
    """Copy what the signed manifest lists, in its order, and compare every byte with it."""
    members = Members(stream, limits)
    described = _manifest(members, trusted)
    layout.check_names(described.files)
    manifest.check_sizes(described, limits)
    for part in layout.FOLDERS:
        (folder / part).mkdir(mode=0o700)
    left = sorted(described.files)
    while (member := members.following()) is not None:
        _check_turn(member, left, described)
        left.pop(0)
        _copy(members, member, folder / member.name, described)
    if left:
        raise UnfitError(f"it ends before {left[0]}, which its manifest lists")
    return described


def _manifest(members: Members, trusted: Sequence[PublicKey]) -> ArchiveManifest:
    member = members.following()
    if member is None or member.name != layout.MANIFEST:
        found = "nothing" if member is None else member.name
        raise UnfitError(f"it begins with {found}, not with {layout.MANIFEST}")
    if member.size > dsse.LARGEST:
        raise UnfitError(f"its manifest has {member.size} bytes, at most {dsse.LARGEST} are read")
    content = bytearray()
    members.copied(member, content.extend)
    return manifest.unsealed(bytes(content), trusted)


def _check_turn(member: Member, left: Sequence[str], described: ArchiveManifest) -> None:
    """Raise UnfitError unless `member` is the next file of the manifest."""
    name = member.name
    if name != layout.MANIFEST and name not in described.files:
        raise UnfitError(f"it holds {name}, which is not in its manifest")
    if name not in left:
        raise UnfitError(f"it holds {name} twice")
    if name != left[0]:
        raise UnfitError(f"{name} comes where {left[0]} must come: a file is missing or out of order")
    if member.size != described.files[name].size_bytes:
        raise UnfitError(f"{name} has {member.size} bytes, its manifest says {described.files[name].size_bytes}")


def _copy(members: Members, member: Member, path: Path, described: ArchiveManifest) -> None:
    """Write a file that is new, whatever its name, and private."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as stream:
        digest = members.copied(member, stream.write)
    wanted = described.files[member.name].sha256
    if digest != wanted:
        raise UnfitError(f"{member.name} has SHA-256 {digest[:12]}, its manifest says {wanted[:12]}")
