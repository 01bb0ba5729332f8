"""Signed envelopes that come from another site: opened by a trusted key, or refused with the id that they name."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from wattline.errors import InputError, IntegrityError
from wattline.registry.archive.faults import UnfitError, UntrustedError
from wattline.signing import Statement, dsse
from wattline.signing.keys import PublicKey

KEY_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Opened:
    """What a trusted key has signed.

    key: which one
    """

    payload: bytes
    key: PublicKey


def unopened(envelope: bytes, *, kind: str, what: str) -> bytes:
    """The payload, whoever signed it: for envelopes from our own store. Raises UnfitError when there is none."""
    parsed = _parsed(envelope, kind=kind, what=what)
    try:
        return b64decode(parsed.payload, validate=True)
    except ValueError:
        raise UnfitError(f"{what} is no signed envelope") from None


def opened(envelope: bytes, trusted: Sequence[PublicKey], *, kind: str, what: str) -> Opened:
    """The payload and the first of the `trusted` keys that signed it.

    what: as it is called in messages
    Raises UnfitError when it is no envelope of this kind or was altered, UntrustedError when an unknown key signed it.
    """
    parsed = _parsed(envelope, kind=kind, what=what)
    for key in trusted:
        try:
            return Opened(dsse.unseal(envelope, [key], kind=kind), key)
        except IntegrityError:
            continue
        except InputError:
            raise UnfitError(f"{what} is no signed envelope") from None
    raise _unverified(parsed, trusted, what=what)


def statement(payload: bytes) -> Statement:
    """The statement in a payload. Raises UnfitError when it is none."""
    try:
        return dsse.parse(payload, Statement)
    except InputError:
        raise UnfitError("its statement is malformed") from None


def check_sole_form(envelope: bytes, found: Opened) -> None:
    """Raise UnfitError unless `envelope` is byte for byte what sealing makes: no hint, space or signature besides."""
    signature = dsse.parse(envelope, dsse.Envelope).signatures[0].sig
    content = json.loads(envelope) | {
        "payload": b64encode(found.payload).decode(),
        "signatures": [{"keyid": found.key.id, "sig": signature.translate(str.maketrans("-_", "+/"))}],
    }
    sealed = {name: content[name] for name in ("payload", "payloadType", "signatures")}
    if json.dumps(sealed, separators=(",", ":")).encode() + b"\n" != envelope:
        raise UnfitError("its manifest was not sealed by `wattline export`")


def _parsed(envelope: bytes, *, kind: str, what: str) -> dsse.Envelope:
    try:
        parsed = dsse.parse(envelope, dsse.Envelope)
    except InputError:
        raise UnfitError(f"{what} is no signed envelope") from None
    if parsed.payload_type != kind:
        raise UnfitError(f"{what} is an envelope of another type than {kind}")
    return parsed


def _unverified(envelope: dsse.Envelope, trusted: Sequence[PublicKey], *, what: str) -> UnfitError:
    named = [one.keyid for one in envelope.signatures if one.keyid and KEY_ID.fullmatch(one.keyid)]
    if not envelope.signatures:
        return UnfitError(f"{what} is not signed")
    if any(key.id in named for key in trusted):
        return UnfitError(f"{what} is not what key {named[0][:12]} has signed")
    signer = f"key {named[0]}" if named else "a key without an id"
    return UntrustedError(
        f"{what} is signed by {signer}, which is not trusted here; compare the id with its owner, "
        "then add the file of the public key to registry.import_keys"
    )
