"""Signed statements: made when a version is promoted, held against the files when they are served."""

from collections.abc import Sequence
from pathlib import Path

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Candidate, Champion
from wattline.signing import dsse, entry, model_signature
from wattline.signing.keys import PrivateKey, PublicKey, load_public
from wattline.signing.statement import Statement

__all__ = ["FILE", "PrivateKey", "PublicKey", "Statement", "load_public", "sign", "verify", "verify_folder"]

FILE = "statement.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
CANDIDATE = "candidate.json"
CHAMPION = "champion.json"
UNSIGNED = (CANDIDATE, CHAMPION, FILE, entry.FILE, model_signature.FILE, ".gitignore")
"""Files that are not signed as bytes: what the first two say is compared with the statement."""


def sign(statement: Statement, key: PrivateKey) -> bytes:
    """The envelope of `statement`: equal statements and keys, equal bytes. Raises InputError when none can be made."""
    try:
        payload = statement.to_bytes()
    except ValueError:
        raise InputError(
            "the statement holds a figure that is infinite or none; find it in reports/ and run `dvc repro`"
        ) from None
    return dsse.seal(payload, key, kind=PAYLOAD_TYPE)


def verify(envelope: bytes, trusted: Sequence[PublicKey]) -> Statement:
    """The statement in `envelope`, which at least one of the `trusted` keys has signed.

    Raises InputError when it is no such envelope, IntegrityError when no trusted key has signed it.
    """
    return dsse.parse(dsse.unseal(envelope, trusted, kind=PAYLOAD_TYPE), Statement)


def verify_folder(
    folder: Path,
    trusted: Sequence[PublicKey],
    *,
    candidate: Candidate,
    name: str | None = None,
    version: str | None = None,
) -> Statement:
    """The statement in `folder`, which a trusted key has signed and which is about the files there and nothing else.

    A signed file that is not there passes: it cannot be loaded, and who needs it says so.

    candidate: the record that the files were, or will be, held against
    name, version: of the registered model, where they are known; champion.json is compared too where there is one
    Raises InputError when there is no readable statement, IntegrityError when it is about something else.
    """
    statement = verify(_read(folder / FILE), trusted)
    _check_record(statement, candidate)
    _check_bytes(folder, statement)
    _check_identity(statement, Champion(name=name, version=version), place="what was asked for")
    if (folder / CHAMPION).exists():
        champion = files.read_record(folder / CHAMPION, Champion)
        _check_identity(statement, champion, place=str(folder / CHAMPION))
        if champion.digest != candidate.digest or champion.version is None:
            raise IntegrityError(
                f"{folder / CHAMPION} is not about candidate {candidate.digest[:12]}, which was signed; {dsse.REMEDY}"
            )
    return statement


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(dsse.LARGEST + 1)
    except OSError:
        raise InputError(f"{path} cannot be read, so the model has no signed statement; {dsse.REMEDY}") from None


def _check_record(statement: Statement, candidate: Candidate) -> None:
    """Raise IntegrityError naming the first file that only one of the two has, or with another digest."""
    signed, present = statement.files, candidate.files
    for name in sorted(signed.keys() | present.keys()):
        if name not in present:
            raise IntegrityError(f"{name} was signed and is not recorded in {CANDIDATE}; {dsse.REMEDY}")
        if name not in signed:
            raise IntegrityError(f"{name} is recorded in {CANDIDATE} and was not signed; {dsse.REMEDY}")
        if signed[name] != present[name]:
            digests = f"SHA-256 {present[name][:12]}, {signed[name][:12]} was signed"
            raise IntegrityError(f"{name} is recorded with {digests}; {dsse.REMEDY}")
    if statement.candidate != candidate:
        raise IntegrityError(f"{CANDIDATE} says something else of the model than was signed; {dsse.REMEDY}")


def _check_bytes(folder: Path, statement: Statement) -> None:
    """Raise IntegrityError naming the first file below `folder` that is not one that was signed."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in UNSIGNED:
            continue
        if name not in statement.files:
            raise IntegrityError(f"{path} was not signed; remove it, or {dsse.REMEDY}")
        if files.sha256(path) != statement.files[name]:
            raise IntegrityError(f"{path} is not the file that was signed; {dsse.REMEDY}")


def _check_identity(statement: Statement, expected: Champion, *, place: str) -> None:
    """Raise IntegrityError when the statement of another model or version lies here."""
    said = statement.predicate
    for what, wanted, found in (("model", expected.name, said.name), ("version", expected.version, said.version)):
        if wanted is not None and wanted != found:
            raise IntegrityError(
                f"the statement is about {what} {found!r}, {place} is {what} {wanted!r}; {dsse.REMEDY}"
            )
