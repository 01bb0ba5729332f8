"""DSSE envelopes: bytes with their type and the signatures of both, read strictly.

https://github.com/secure-systems-lab/dsse, protocol version 1. Stricter than it demands in one point: a field that is
not known is refused, not ignored.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from wattline.errors import InputError, IntegrityError
from wattline.records import Record
from wattline.signing.keys import PrivateKey, PublicKey

LARGEST = 1024 * 1024
"""Bytes of an envelope or payload that are looked at."""
MOST_SIGNATURES = 16
REMEDY = "run `wattline promote` and `wattline champion` again"

AnyRecord = TypeVar("AnyRecord", bound=Record)


class Signature(Record):
    """One signature. keyid: a hint that nobody vouches for; which key fits is found by trying"""

    keyid: str | None = None
    sig: str


class Envelope(Record):
    """A payload as base64 with the signatures of its pre-authentication encoding."""

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[Signature, ...] = Field(max_length=MOST_SIGNATURES)


def encoded(payload: bytes, kind: str) -> bytes:
    """The pre-authentication encoding: what is signed says where its type ends and its payload begins."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)


def seal(payload: bytes, key: PrivateKey, *, kind: str) -> bytes:
    """The envelope of `payload`: equal payloads and keys, equal bytes. Raises InputError when it is too large."""
    signature = key.sign(encoded(payload, kind))
    content = {
        "payload": b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"keyid": key.public.id, "sig": b64encode(signature).decode()}],
    }
    envelope = json.dumps(content, separators=(",", ":")).encode() + b"\n"
    if len(envelope) > LARGEST:
        raise InputError(f"the statement takes {len(envelope)} bytes, at most {LARGEST} are read; shorten its reasons")
    return envelope


def unseal(envelope: bytes, trusted: Sequence[PublicKey], *, kind: str) -> bytes:
    """The payload of `envelope`, which at least one of the `trusted` keys has signed.

    Raises InputError when it is no envelope of a payload of this kind, IntegrityError when no trusted key signed it.
    """
    if not trusted:
        raise InputError("no public key is trusted; name one in serving.model.trusted_keys")
    parsed = parse(envelope, Envelope)
    content = _content(parsed, kind)
    message = encoded(content, kind)
    signatures = [_decoded(one.sig, field="signature") for one in parsed.signatures]
    if not any(key.verifies(signature, message) for signature in signatures for key in trusted):
        found = f"{len(signatures)} signature{'' if len(signatures) == 1 else 's'}"
        names = ", ".join(key.id[:12] for key in trusted)
        raise IntegrityError(f"the statement has {found}, none by a trusted key ({names}); promote with one of them")
    return content


def payload(envelope: bytes, *, kind: str) -> bytes:
    """The payload of `envelope`, whoever signed it. Raises InputError when it is no envelope of this kind."""
    return _content(parse(envelope, Envelope), kind)


def parse(content: bytes, kind: type[AnyRecord]) -> AnyRecord:
    """A record from strict JSON: nothing after it, no key twice, no field that is not known, no NaN.

    Raises InputError in one sentence.
    """
    what = kind.__name__.lower()
    if len(content) > LARGEST:
        raise InputError(f"the {what} is larger than {LARGEST} bytes; {REMEDY}")
    try:
        text = content.decode()
        json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        reason = f"{place or what}: {first['msg']}"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # also of bytes that are no UTF-8
        reason = str(error).split(": line")[0][:100]
    raise InputError(f"the {what} is not what `wattline promote` writes: {reason}; {REMEDY}")


def _content(parsed: Envelope, kind: str) -> bytes:
    if parsed.payload_type != kind:
        raise InputError(f"the envelope holds a payload of another type than {kind}; {REMEDY}")
    return _decoded(parsed.payload, field="payload")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _decoded(text: str, *, field: str) -> bytes:
    """Bytes of base64, standard or URL-safe, as DSSE allows; there is one spelling of each content."""
    standard = text if set("+/") & set(text) else text.translate(str.maketrans("-_", "+/"))
    try:
        content = b64decode(standard, validate=True)
    except ValueError:
        content = b""
    if b64encode(content).decode() != standard:
        raise InputError(f"the {field} in the envelope is no base64; {REMEDY}")
    return content
