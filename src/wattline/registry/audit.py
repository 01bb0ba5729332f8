"""Whether the audit log is whole: every entry signed, linked to the one before, none edited, dropped or reordered."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import Record
from wattline.registry.former import FormerKeys
from wattline.signing import dsse
from wattline.signing import entry as entries
from wattline.signing.entry import FIRST, Entry, Sha256
from wattline.signing.keys import PrivateKey, PublicKey

EXPORT_TYPE = "application/vnd.wattline.audit-export+json"
ANCHOR = "audit.json"
"""Where this machine remembers below WATTLINE_STATE how far it has seen the log."""


NONE = FormerKeys()


class Head(Record):
    """How far a log goes. sequence: of its last entry, 0 for none; hash: of that entry"""

    sequence: int = Field(ge=0)
    hash: Sha256


class Export(Record):
    """The last line of an export: without it, the file was cut off."""

    head: Head
    at: AwareDatetime


def verify(
    envelopes: Iterable[bytes], trusted: Sequence[PublicKey], former: FormerKeys = NONE
) -> tuple[list[Entry], Head]:
    """The entries in `envelopes` and where they end.

    trusted: keys that may sign entries; former: keys that were
    Raises IntegrityError naming the first entry that was edited, dropped, reordered or signed by somebody else.
    """
    found: list[Entry] = []
    head = Head(sequence=0, hash=FIRST)
    tokens: dict[str, int] = {}
    for envelope in envelopes:
        entry = _entry(envelope, trusted, former, after=head)
        _check_place(entry, head)
        if entry.token < tokens.get(entry.model, 0):
            raise IntegrityError(f"entry {entry.sequence} was written under a lock that was somebody else's by then")
        tokens[entry.model] = entry.token
        found.append(entry)
        head = Head(sequence=entry.sequence, hash=entry.hash)
    return found, head


def check_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Raise IntegrityError naming the first row whose columns are not what its envelope says."""
    for row in rows:
        entry = entries.peek(row["envelope"].encode())
        for column in ("sequence", "hash", "model", "action", "version", "digest"):
            if row[column] != getattr(entry, column):
                raise IntegrityError(
                    f"column {column} of entry {row['sequence']} is {row[column]!r}, {getattr(entry, column)!r} was "
                    "signed; somebody edited the table"
                )


def check_holds(name: str, known: Head, found: Sequence[Entry]) -> None:
    """Raise IntegrityError unless the log still has the entry that `known` ends with.

    name: where `known` comes from
    """
    if known.sequence == 0:
        return
    if len(found) < known.sequence:
        raise IntegrityError(
            f"the audit log ends with entry {len(found)}, {name} knows {known.sequence} entries; the last ones were "
            "dropped, restore the database"
        )
    if found[known.sequence - 1].hash != known.hash:
        raise IntegrityError(
            f"entry {known.sequence} is not the one that {name} knows; the log was written anew, restore the database"
        )


def read_anchor(path: Path) -> Head:
    """How far this machine has seen the log; nothing where it never looked."""
    return files.read_record(path, Head) if path.is_file() else Head(sequence=0, hash=FIRST)


def export(envelopes: Sequence[bytes], head: Head, *, key: PrivateKey, at: AwareDatetime) -> bytes:
    """The log as JSON lines: one envelope each, and a signed last line that says where it ends."""
    last = dsse.seal(Export(head=head, at=at).model_dump_json().encode(), key, kind=EXPORT_TYPE)
    return b"".join([*envelopes, last])


def read_export(path: Path, trusted: Sequence[PublicKey], former: FormerKeys = NONE) -> tuple[list[Entry], Head]:
    """The verified entries of an export. Raises InputError when it cannot be read or was cut off, else as `verify`."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; name a file that `wattline audit export` wrote"
        ) from None
    cut_off = InputError(f"{path} was cut off: its last line does not say where the log ends; export it again")
    if not lines or not lines[-1].endswith(b"\n"):
        raise cut_off
    try:
        vouching = (*trusted, *(key for key, _ in former.known))
        last = dsse.parse(dsse.unseal(lines[-1], vouching, kind=EXPORT_TYPE), Export)
    except InputError:
        raise cut_off from None
    found, head = verify(lines[:-1], trusted, former)
    if head != last.head:
        raise IntegrityError(f"{path} has {head.sequence} entries, {last.head.sequence} were exported; export it again")
    return found, head


def lines(found: Sequence[Entry]) -> list[str]:
    """One line for each entry, as a person reads it."""
    return [
        f"{entry.sequence:>5}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.action:<8}  {entry.model}"
        f"{f' {entry.version}' if entry.version else ''}  by {entry.actor.name}"
        f"{f' ({entry.actor.job})' if entry.actor.job else ''}{f': {entry.reason}' if entry.reason else ''}"
        for entry in found
    ]


def _entry(envelope: bytes, trusted: Sequence[PublicKey], former: FormerKeys, *, after: Head) -> Entry:
    place = f"the entry after {after.sequence}"
    try:
        entry = former.unseal(envelope, trusted)
    except (InputError, IntegrityError) as error:
        raise IntegrityError(f"{place} was edited, or signed by a key that is not trusted: {error}") from None
    if dsse.payload(envelope, kind=entries.PAYLOAD_TYPE) != entry.payload():
        raise IntegrityError(f"{place} is not written as Wattline writes it; somebody else made it")
    return entry


def _check_place(entry: Entry, head: Head) -> None:
    if entry.sequence != head.sequence + 1:
        what = "dropped" if entry.sequence > head.sequence else "reordered or repeated"
        raise IntegrityError(
            f"entry {entry.sequence} follows entry {head.sequence}: entries were {what}; restore the database"
        )
    if entry.previous != head.hash:
        raise IntegrityError(
            f"entry {entry.sequence} does not belong behind entry {head.sequence} as it is; one of them was exchanged"
        )
