"""Ed25519 keys: made, read from PEM, and told apart by their ids. None of their content gets into a message."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wattline.errors import InputError
from wattline.settings import settings
from wattline.signing import pem

PRIVATE = "private.pem"
PUBLIC = "public.pem"
VARIABLE = "WATTLINE_SIGNING_KEY"


@dataclass(frozen=True)
class PublicKey:
    """What a signature is held against.

    id: SHA-256 of the DER-encoded SubjectPublicKeyInfo
    """

    id: str
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> "PublicKey":
        """Wrap a key and compute its id."""
        encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(encoded).hexdigest(), key)

    def pem(self) -> bytes:
        """The key as PEM."""
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` of `message` was made with the private half."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """What signs. It shows nothing of itself but the public half."""

    public: PublicKey
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> "PrivateKey":
        """Wrap a key."""
        return cls(PublicKey.of(key.public_key()), key)

    def pem(self, passphrase: str | None) -> bytes:
        """The key as PEM (PKCS 8), encrypted where there is a passphrase."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def sign(self, message: bytes) -> bytes:
        """The signature of `message` [64 bytes]: equal messages, equal signatures."""
        return self._key.sign(message)


def default_folder() -> Path:
    """Where keys lie on a laptop, out of git's sight."""
    return settings().state / "keys"


def exists() -> bool:
    """Whether there is a signing key, readable or not."""
    return settings().signing_key is not None or (default_folder() / PRIVATE).exists()


def new(folder: Path) -> PublicKey:
    """Make a pair and write it to `folder`; returns the public half. Raises InputError as `write` does."""
    key = PrivateKey.of(Ed25519PrivateKey.generate())
    write(folder, key)
    return key.public


def write(folder: Path, key: PrivateKey) -> None:
    """Write private.pem (mode 0600, encrypted where a passphrase is set) and public.pem to `folder`.

    Raises InputError when either is there already.
    """
    passphrase = pem.passphrase()
    private = key.pem(passphrase.decode() if passphrase else None)
    pem.write_pair(folder / PRIVATE, private, folder / PUBLIC, key.public.pem())


def load_private() -> PrivateKey:
    """The key of WATTLINE_SIGNING_KEY (a PEM text or the path of a PEM file), or else of the default folder.

    Raises InputError when there is none, others may read it, it is encrypted otherwise than the passphrase says, or it
    is no private Ed25519 key.
    """
    key, place = pem.load_private(settings().signing_key, default_folder() / PRIVATE, variable=VARIABLE)
    if not isinstance(key, Ed25519PrivateKey):
        raise _other_kind(key, place=place)
    return PrivateKey.of(key)


def load_public(paths: Iterable[Path | str]) -> tuple[PublicKey, ...]:
    """The keys in PEM files. Raises InputError naming the first file that holds no public Ed25519 key."""
    return tuple(_public(Path(path)) for path in paths)


def _public(path: Path) -> PublicKey:
    key = pem.load_public(path, remedy="copy public.pem from who promotes, or run `wattline keys new`")
    if not isinstance(key, Ed25519PublicKey):
        raise _other_kind(key, place=str(path))
    return PublicKey.of(key)


def _other_kind(key: object, *, place: str) -> InputError:
    found = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")
    return InputError(f"{place} is a key of kind {found}, not Ed25519; make one with `wattline keys new`")
