"""What an archive says of itself: which version it is, where it is from, and every file's digest; signed."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import AwareDatetime, Field, ValidationError, field_validator

from wattline.records import Record
from wattline.registry.archive.envelopes import check_sole_form, opened
from wattline.registry.archive.faults import UnfitError
from wattline.registry.archive.limits import Limits
from wattline.signing import dsse
from wattline.signing.keys import PrivateKey, PublicKey
from wattline.signing.statement import Sha256

KIND = "application/vnd.wattline.archive+json"
FORMAT = 1


class ArchivedFile(Record):
    """One file of an archive."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class ArchiveManifest(Record):
    """What an archive holds.

    name, version: of the registered model, at the site that exported it
    candidate: its digest
    data: id of the dataset it was trained on; the rows are not in the archive
    exported: when, by the clock of that site
    key: id of the key that signed this
    site: what that site calls itself
    entries: how many of the audit log's entries about the version are in its history
    last: SHA-256 of the payload of the last one; None where there is none
    files: name -> file, all but the manifest itself
    """

    format: Literal[1]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    version: str = Field(pattern=r"^[1-9][0-9]*$", max_length=20)
    candidate: Sha256
    data: str
    exported: AwareDatetime
    key: Sha256
    site: str = Field(min_length=1, max_length=200)
    entries: int = Field(ge=0)
    last: Sha256 | None
    files: Mapping[str, ArchivedFile]

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    @field_validator("site")
    @classmethod
    def _printable(cls, site: str) -> str:
        if not site.isprintable():
            raise ValueError("holds characters that cannot be printed")
        return site


def parsed(content: bytes) -> ArchiveManifest:
    """The manifest in `content`. Raises UnfitError on any other bytes than `to_bytes` gives."""
    try:
        manifest = ArchiveManifest.model_validate_json(content)
    except ValidationError as error:
        raise UnfitError(f"its manifest is malformed: {first_of(error)}") from None
    if manifest.to_bytes() != content:
        raise UnfitError("its manifest is not in canonical form")
    return manifest


def first_of(error: ValidationError) -> str:
    """Place and reason of the first thing that is wrong."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:100]
    return f"{ascii(place)[1:-1]}: {first['msg']}" if place else str(first["msg"])


def check_sizes(manifest: ArchiveManifest, limits: Limits) -> None:
    """Raise UnfitError when what is announced is more than is let in."""
    if len(manifest.files) >= limits.members:
        raise UnfitError(f"it holds {len(manifest.files) + 1} files, at most {limits.members} are let in")
    for name, file in manifest.files.items():
        if file.size_bytes > limits.of(name):
            raise UnfitError(f"{name} has {file.size_bytes} bytes, at most {limits.of(name)} are let in")
    total = sum(file.size_bytes for file in manifest.files.values())
    if total > limits.total_bytes:
        raise UnfitError(f"it has {total} bytes, at most {limits.total_bytes} are let in")


def sealed(manifest: ArchiveManifest, key: PrivateKey) -> bytes:
    """The envelope of `manifest`: equal manifests and keys, equal bytes."""
    return dsse.seal(manifest.to_bytes(), key, kind=KIND)


def unsealed(envelope: bytes, trusted: Sequence[PublicKey]) -> ArchiveManifest:
    """The manifest that a trusted key has signed. Raises UnfitError, or UntrustedError naming an unknown key."""
    found = opened(envelope, trusted, kind=KIND, what="its manifest")
    check_sole_form(envelope, found)
    manifest = parsed(found.payload)
    if manifest.key != found.key.id:
        raise UnfitError(f"its manifest names key {manifest.key[:12]}, {found.key.id[:12]} has signed it")
    return manifest
