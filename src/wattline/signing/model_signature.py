"""OpenSSF model-signing over a folder: anybody can verify it with the upstream command, without Wattline.

It says which bytes lie together and nothing of name, version or verdicts: that is what the statement is for.
https://github.com/sigstore/model-transparency, key mode, offline.
"""

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError
from wattline.signing.model_keys import ModelPrivateKey, ModelPublicKey

if TYPE_CHECKING:
    from model_signing.hashing import Config as Hashing

FILE = "model.sig"
BESIDE = (FILE, "champion.json", "statement.dsse.json", "promotion.dsse.json", ".gitignore")
"""What may lie in the folder without being signed: it is written afterwards. The signature names these itself."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a signature that are looked at."""
REMEDY = "fetch the files again, or have them signed again"


def sign(folder: Path, key: ModelPrivateKey) -> bytes:
    """The signature of all files below `folder` but those of BESIDE, as a Sigstore bundle (JSON).

    ECDSA draws a random number: signed twice, it has other bytes. Raises InputError when the folder cannot be signed:
    it is empty or holds a symbolic link.
    """
    from model_signing import signing

    with TemporaryDirectory(prefix="wattline-") as temporary, _in_memory(key.pem) as path:
        written = Path(temporary) / FILE
        try:
            config = signing.Config()  # type: ignore[no-untyped-call]
            config.use_elliptic_key_signer(private_key=path).set_hashing_config(_hashing()).sign(folder, written)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} cannot be signed: {_line(error)}; look at what lies there") from None
        content = written.read_bytes()
    if not _payload(content).get("predicate", {}).get("resources"):
        raise InputError(f"{folder} holds no file to sign; run `dvc repro` to make them")
    return content


def verify(folder: Path, signature: bytes, key: ModelPublicKey) -> None:
    """Hold the files below `folder` against `signature` by `key`: each as it was signed, none missing, none more.

    Raises IntegrityError naming the files, or saying that `key` has not signed this.
    """
    from model_signing import verifying

    if len(signature) > LARGEST:
        raise IntegrityError(f"the model signature is larger than {LARGEST} bytes; {REMEDY}")
    with TemporaryDirectory(prefix="wattline-") as temporary, _in_memory(key.pem) as path:
        written = Path(temporary) / FILE
        written.write_bytes(signature)
        try:
            config = verifying.Config()  # type: ignore[no-untyped-call]
            config.use_elliptic_key_verifier(public_key=path).set_hashing_config(_hashing()).verify(folder, written)
        except Exception as error:  # of whatever sort: the library promises none for a signature that is garbage
            raise IntegrityError(f"{folder} is not what was signed: {_line(error)}; {REMEDY}") from None
    _check_scope(signature)


def _hashing() -> "Hashing":
    """How files are hashed; the same for who signs and who verifies, whatever the signature asks for."""
    from model_signing.hashing import Config

    config = Config()  # type: ignore[no-untyped-call]
    config.use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    return config.set_ignored_paths(paths=BESIDE, ignore_git_paths=False)


def _check_scope(signature: bytes) -> None:
    """Raise IntegrityError when a signature leaves out files that must be signed; it was verified before."""
    predicate = _payload(signature)["predicate"]
    ignored = set(predicate["serialization"].get("ignore_paths", ()))
    if not ignored <= set(BESIDE):
        names = ", ".join(sorted(ignored - set(BESIDE)))
        raise IntegrityError(f"the model signature leaves out {names}, which must be signed; {REMEDY}")
    if not predicate["resources"]:
        raise IntegrityError(f"the model signature is about no file; {REMEDY}")


def _payload(signature: bytes) -> dict[str, dict[str, dict[str, list[str]]]]:
    payload: dict[str, dict[str, dict[str, list[str]]]] = json.loads(
        b64decode(json.loads(signature)["dsseEnvelope"]["payload"])
    )
    return payload


@contextmanager
def _in_memory(content: bytes) -> Iterator[Path]:
    """A path with this content for a library that reads keys from paths alone; it never gets onto a disk."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _line(error: Exception) -> str:
    """What the library says, as a part of a sentence."""
    text = " ".join(str(error).split())
    return text.removeprefix("Signature mismatch: ")[:300] or "no signature by this key"
