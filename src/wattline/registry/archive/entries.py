"""The audit log's entries about one version: one envelope a line, in the order of the log."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

from pydantic import ValidationError

from wattline.registry.archive import envelopes
from wattline.registry.archive.faults import UnfitError
from wattline.registry.archive.manifest import ArchiveManifest, first_of
from wattline.signing.entry import PAYLOAD_TYPE as KIND
from wattline.signing.entry import Entry
from wattline.signing.keys import PublicKey


def joined(envelopes: Sequence[bytes]) -> bytes:
    """The lines of a history. Raises UnfitError when an envelope is none or more than one of them."""
    lines = [envelope.removesuffix(b"\n") for envelope in envelopes]
    for place, line in enumerate(lines, start=1):
        if not line or b"\n" in line:
            raise UnfitError(f"entry {place} of its history is not one line")
    return b"".join(line + b"\n" for line in lines)


def split(content: bytes) -> tuple[bytes, ...]:
    """The envelopes of a history, each with the line feed that sealing puts there."""
    if content and not content.endswith(b"\n"):
        raise UnfitError("its history ends in the middle of a line")
    return tuple(line + b"\n" for line in content.split(b"\n")[:-1])


def unopened(history: Sequence[bytes]) -> tuple[bytes, ...]:
    """The payloads, whoever signed them: for entries of our own log."""
    named = enumerate(history, start=1)
    return tuple(envelopes.unopened(one, kind=KIND, what=f"entry {place} of its history") for place, one in named)


def opened(history: Sequence[bytes], trusted: Sequence[PublicKey]) -> tuple[bytes, ...]:
    """The payloads, each signed by a trusted key. Raises UnfitError, or UntrustedError naming an unknown key."""
    named = enumerate(history, start=1)
    return tuple(
        envelopes.opened(one, trusted, kind=KIND, what=f"entry {place} of its history").payload for place, one in named
    )


def last(payloads: Sequence[bytes]) -> str | None:
    """SHA-256 of the last payload; None where there is none."""
    return hashlib.sha256(payloads[-1]).hexdigest() if payloads else None


def check(payloads: Sequence[bytes], manifest: ArchiveManifest) -> None:
    """Raise UnfitError when entries were dropped, added, reordered or do not follow each other."""
    if len(payloads) != manifest.entries:
        raise UnfitError(f"its history has {len(payloads)} entries, the manifest says {manifest.entries}")
    links = [_entry(payload, place, manifest) for place, payload in enumerate(payloads, start=1)]
    for before, after in pairwise(links):
        if after.sequence <= before.sequence:
            raise UnfitError(f"its history has entry {after.sequence} of the log after entry {before.sequence}")
    # Entries about other versions lie between most of them; where none does, the chain itself can be held against it.
    for payload, (before, after) in zip(payloads, pairwise(links), strict=False):
        adjacent = after.sequence == before.sequence + 1
        if adjacent and after.previous != hashlib.sha256(payload).hexdigest():
            raise UnfitError(f"entry {after.sequence} of its history does not follow entry {before.sequence}")
    if last(payloads) != manifest.last:
        raise UnfitError("its history ends with another entry than the manifest says")


def _entry(payload: bytes, place: int, manifest: ArchiveManifest) -> Entry:
    try:
        entry = Entry.from_json(payload)
    except ValidationError as error:
        raise UnfitError(f"entry {place} of its history is malformed: {first_of(error)}") from None
    if (entry.model, entry.version) != (manifest.name, manifest.version):
        raise UnfitError(
            f"entry {place} of its history is about version {entry.version} of {entry.model}, the archive holds "
            f"version {manifest.version} of {manifest.name}"
        )
    return entry
