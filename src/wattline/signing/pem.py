"""PEM files of keys: written once with their modes, and read only where nobody else can."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from pydantic import SecretStr

from wattline.errors import InputError
from wattline.settings import settings

PASSPHRASE = "WATTLINE_SIGNING_PASSPHRASE"  # noqa: S105 - the name of a variable

LARGEST = 16384
"""Bytes of a PEM file that are looked at."""


def write_pair(private: Path, private_pem: bytes, public: Path, public_pem: bytes) -> None:
    """Write both halves of a pair, the private one with mode 0600. Raises InputError when either is there already."""
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if private.exists():
        raise taken(private)
    # The public half first: of two who start at once, the second stops here and no halves of two pairs meet.
    _write_once(public, public_pem, mode=0o644)
    _write_once(private, private_pem, mode=0o600)


def read(path: Path, *, private: bool) -> bytes:
    """Content of a PEM file. Raises OSError or ValueError when there is none, InputError when others may read it."""
    with path.open("rb") as stream:
        if private and os.fstat(stream.fileno()).st_mode & 0o077:
            raise InputError(f"{path} can be read or written by others than its owner; run `chmod 600` on it")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"{path} is larger than {LARGEST} bytes, which no key is; name another file")
    return content


def load_private(secret: SecretStr | None, default: Path, *, variable: str) -> tuple[PrivateKeyTypes, str]:
    """A private key of any kind, and where it is from.

    secret: of `variable`: a PEM text or the path of a PEM file; None: the file `default`
    Raises InputError when there is none, others may read it, or it is encrypted otherwise than the passphrase says.
    """
    if secret is not None and secret.get_secret_value().lstrip().startswith("-----BEGIN"):
        return _private(secret.get_secret_value().encode(), place=variable), variable
    path = default if secret is None else Path(secret.get_secret_value())
    try:
        return _private(read(path, private=True), place=str(path)), str(path)
    except (OSError, ValueError):
        if secret is None:
            raise InputError(f"{path} cannot be read; run `wattline keys new`, or set {variable}") from None
        # What is no path may be a key that lost its first line, so it is not repeated.
        raise InputError(f"{variable} is neither a PEM text nor a file that can be read; correct it") from None


def load_public(path: Path, *, remedy: str) -> PublicKeyTypes:
    """A public key of any kind. Raises InputError, with `remedy`, when there is none."""
    try:
        content = read(path, private=False)
    except (OSError, ValueError):
        raise InputError(f"the public key {path} cannot be read; {remedy}") from None
    if b"PRIVATE KEY-----" in content:
        raise InputError(f"{path} is a private key; name the public one and keep the private one where it is used")
    try:
        return serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} holds no public key as PEM; {remedy}") from None


def passphrase() -> bytes | None:
    """That of private keys; None where they are not encrypted."""
    found = settings().signing_passphrase
    return found.get_secret_value().encode() if found is not None else None


def _private(content: bytes, *, place: str) -> PrivateKeyTypes:
    password = passphrase()
    if b"PUBLIC KEY-----" in content:
        raise InputError(f"{place} is a public key; sign with the private one")
    try:
        return serialization.load_pem_private_key(content, password)
    except TypeError:
        reason = f"is encrypted; set {PASSPHRASE}"
        if password is not None:
            reason = f"is not encrypted, but {PASSPHRASE} is set; unset it or encrypt the key"
        raise InputError(f"{place} {reason}") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = f"or {PASSPHRASE} is wrong" if b"ENCRYPTED" in content else "as PEM"
        raise InputError(f"{place} holds no private key, {hint}; make one with `wattline keys new`") from None


def taken(path: Path) -> InputError:
    """What is said where a key would be overwritten."""
    return InputError(f"{path} exists already and is not overwritten; choose another --folder or move it away")


def _write_once(path: Path, content: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise taken(path) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
