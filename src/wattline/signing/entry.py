"""One entry of the audit log: signed, and linked to the entry before it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from wattline.records import Record
from wattline.signing import dsse
from wattline.signing.keys import PrivateKey, PublicKey

PAYLOAD_TYPE = "application/vnd.wattline.audit+json"
FILE = "promotion.dsse.json"
"""Where the entry that made a version champion lies beside its statement."""
FIRST = "0" * 64
"""What the first entry names as the one before it."""

Action = Literal[
    "register", "sign", "approve", "override", "promote", "rollback", "recover", "refuse", "import", "export"
]
MOVES = ("promote", "rollback")
"""Actions that make a version champion."""
REGISTERED = ("register", "import")
"""Actions that make a candidate a version."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Actor(Record):
    """Who did it.

    name: login; kind: "person", or "job" for a pipeline that nobody started by hand
    job: address of the CI job; None outside of one
    """

    name: str = Field(min_length=1, max_length=200)
    kind: Literal["person", "job"]
    job: str | None = None


class Entry(Record):
    """What was done to a registered model.

    sequence: place in the log, from 1 without a gap; previous: SHA-256 of the payload before it
    at: by the clock of the database
    version, digest: of the model and its candidate; None where the candidate is no version
    former: the champion that a promotion or rollback took the place of
    token: fencing token of the lock it was written under; it never decreases for one model
    evidence: what it rests on, name -> SHA-256
    """

    sequence: int = Field(ge=1)
    previous: Sha256
    at: AwareDatetime
    actor: Actor
    action: Action
    model: str = Field(min_length=1)
    version: str | None = Field(default=None, pattern=r"^[1-9][0-9]*$")
    digest: Sha256 | None = None
    former: str | None = None
    token: int = Field(ge=1)
    reason: str = ""
    evidence: Mapping[str, Sha256] = {}

    def payload(self) -> bytes:
        """Canonical JSON: equal entries, equal bytes."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of the payload: what the next entry names."""
        return hashlib.sha256(self.payload()).hexdigest()


def seal(entry: Entry, key: PrivateKey) -> bytes:
    """The signed envelope of `entry`. Raises InputError when it is too large."""
    return dsse.seal(entry.payload(), key, kind=PAYLOAD_TYPE)


def unseal(envelope: bytes, trusted: Sequence[PublicKey]) -> Entry:
    """The entry in `envelope`. Raises InputError when it is none, IntegrityError when no trusted key signed it."""
    return dsse.parse(dsse.unseal(envelope, trusted, kind=PAYLOAD_TYPE), Entry)


def peek(envelope: bytes) -> Entry:
    """The entry in `envelope`, whoever signed it. Raises InputError when it is none."""
    return dsse.parse(dsse.payload(envelope, kind=PAYLOAD_TYPE), Entry)
