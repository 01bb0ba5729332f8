"""Keys on the curve P-256 for OpenSSF model-signing, which takes no Ed25519. No message repeats what is in them."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wattline.errors import InputError
from wattline.settings import settings
from wattline.signing import pem
from wattline.signing.keys import default_folder

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
    pem.write_pair(folder / PRIVATE, _private_pem(key, pem.passphrase()), folder / PUBLIC, public.pem)
    return public


def exists() -> bool:
    """Whether there is a key for files, readable or not."""
    return settings().model_signing_key is not None or (default_folder() / PRIVATE).exists()


def load_private() -> ModelPrivateKey:
    """The key of WATTLINE_MODEL_SIGNING_KEY (a PEM text or the path of a PEM file), or else of the default folder.

    Raises InputError when there is none, others may read it, it is encrypted otherwise than the passphrase says, or it
    is no key on a curve that model-signing takes.
    """
    key, place = pem.load_private(settings().model_signing_key, default_folder() / PRIVATE, variable=VARIABLE)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise _other_kind(key, place=place)
    return ModelPrivateKey.of(key)


def load_public(path: Path) -> ModelPublicKey:
    """The key in a PEM file. Raises InputError when it holds no public key that model-signing takes."""
    key = pem.load_public(path, remedy=f"copy {PUBLIC} from who signs")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _other_kind(key, place=str(path))
    return ModelPublicKey(_public_pem(key))


def _other_kind(key: object, *, place: str) -> InputError:
    found = getattr(getattr(key, "curve", None), "name", None) or type(key).__name__
    kind = found.removesuffix("PrivateKey").removesuffix("PublicKey")
    return InputError(
        f"{place} is a key of kind {kind}, model-signing takes {', '.join(CURVES)}; make one with `wattline keys new`"
    )


def _private_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
