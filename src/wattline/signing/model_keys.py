"""Keys on the curve P-256 for OpenSSF model-signing, which takes no Ed25519. No message repeats what is in them."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wattline.errors import InputError
from wattline.settings import settings
from wattline.signing import pem
from wattline.signing.keys import PASSPHRASE, default_folder

PRIVATE = "model-signing.pem"
PUBLIC = "model-signing.pub.pem"
VARIABLE = "WATTLINE_MODEL_SIGNING_KEY"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Those that model-signing takes."""


@dataclass(frozen=True)
class ModelPublicKey:
    """What a signature over files is held against. pem: the key as PEM (SubjectPublicKeyInfo)"""

    pem: bytes


@dataclass(frozen=True)
class ModelPrivateKey:
    """What signs files. It shows nothing of itself but the public half.

    pem: the key as PEM (PKCS 8), not encrypted
    """

    public: ModelPublicKey
    pem: bytes = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: ec.EllipticCurvePrivateKey) -> "ModelPrivateKey":
        """Wrap a key."""
        return cls(ModelPublicKey(_public_pem(key.public_key())), _private_pem(key, None))


def new(folder: Path) -> ModelPublicKey:
    """Make a pair and write it to `folder`, the private half with mode 0600, encrypted where a passphrase is set.

    returns: the public half. Raises InputError when either half is there already.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = ModelPublicKey(_public_pem(key.public_key()))
    pem.write_pair(folder / PRIVATE, _private_pem(key, _passphrase()), folder / PUBLIC, public.pem)
    return public


def exists() -> bool:
    """Whether there is a key for files, readable or not."""
    return settings().model_signing_key is not None or (default_folder() / PRIVATE).exists()


def load_private() -> ModelPrivateKey:
    """The key of WATTLINE_MODEL_SIGNING_KEY (a PEM text or the path of a PEM file), or else of the default folder.

    Raises InputError when there is none, others may read it, it is encrypted otherwise than the passphrase says, or it
    is no key on a curve that model-signing takes.
    """
    secret = settings().model_signing_key
    if secret is not None and secret.get_secret_value().lstrip().startswith("-----BEGIN"):
        return _private(secret.get_secret_value().encode(), place=VARIABLE)
    path = default_folder() / PRIVATE if secret is None else Path(secret.get_secret_value())
    try:
        return _private(pem.read(path, private=True), place=str(path))
    except (OSError, ValueError):
        if secret is None:
            raise InputError(f"{path} cannot be read; run `wattline keys new`, or set {VARIABLE}") from None
        # What is no path may be a key that lost its first line, so it is not repeated.
        raise InputError(f"{VARIABLE} is neither a PEM text nor a file that can be read; correct it") from None


def load_public(path: Path) -> ModelPublicKey:
    """The key in a PEM file. Raises InputError when it holds no public key that model-signing takes."""
    try:
        content = pem.read(path, private=False)
    except (OSError, ValueError):
        raise InputError(f"the public key {path} cannot be read; copy {PUBLIC} from who signs") from None
    if b"PRIVATE KEY-----" in content:
        raise InputError(f"{path} is a private key; name the public one and keep the private one where it is used")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} holds no public key as PEM; copy {PUBLIC} from who signs") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _other_kind(key, place=str(path))
    return ModelPublicKey(_public_pem(key))


def _private(content: bytes, *, place: str) -> ModelPrivateKey:
    password = _passphrase()
    if b"PUBLIC KEY-----" in content:
        raise InputError(f"{place} is a public key; sign with the private one")
    try:
        key = serialization.load_pem_private_key(content, password)
    except TypeError:
        reason = f"is encrypted; set {PASSPHRASE}"
        if password is not None:
            reason = f"is not encrypted, but {PASSPHRASE} is set; unset it or encrypt the key"
        raise InputError(f"{place} {reason}") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = f"or {PASSPHRASE} is wrong" if b"ENCRYPTED" in content else "as PEM"
        raise InputError(f"{place} holds no private key, {hint}; make one with `wattline keys new`") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise _other_kind(key, place=place)
    return ModelPrivateKey.of(key)


def _other_kind(key: object, *, place: str) -> InputError:
    found = getattr(getattr(key, "curve", None), "name", None) or type(key).__name__
    kind = found.removesuffix("PrivateKey").removesuffix("PublicKey")
    return InputError(
        f"{place} is a key of kind {kind}, model-signing takes {', '.join(CURVES)}; make one with `wattline keys new`"
    )


def _passphrase() -> bytes | None:
    passphrase = settings().signing_passphrase
    return passphrase.get_secret_value().encode() if passphrase is not None else None


def _private_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
