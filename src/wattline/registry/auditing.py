"""The audit log of this project: read, held against everything that remembers it, exported."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from wattline import files
from wattline.errors import IntegrityError
from wattline.params import Params
from wattline.registry import audit, lookup, statements, store
from wattline.registry.audit import ANCHOR, Head, lines
from wattline.registry.model import CHAMPION, ledger
from wattline.settings import settings
from wattline.signing import entry as entries
from wattline.signing import keys
from wattline.signing.entry import MOVES, Entry
from wattline.signing.keys import PublicKey

__all__ = ["export", "lines", "read", "trusted", "verify"]


def trusted(loaded: Params) -> tuple[PublicKey, ...]:
    """Keys whose entries count, those that sign no more among them."""
    return keys.load_public((*loaded.serving.model.trusted_keys, *loaded.registry.former_keys))


def read(loaded: Params) -> list[Entry]:
    """All entries, signatures and links verified. Raises IntegrityError naming the first that does not hold."""
    with ledger(loaded.registry) as log:
        return audit.verify(log.envelopes(), trusted(loaded))[0]


def verify(loaded: Params, *, file: Path | None = None, against: Path | None = None) -> Head:
    """Where the log, or its export in `file`, ends, after all of it was verified.

    The log must go on from what this machine saw last and from the export `against`, and hold the promotion that lies
    beside the champion in the registry.
    Raises IntegrityError naming the first entry that does not hold, or what was dropped.
    """
    vouching = trusted(loaded)
    if file is not None:
        found, head = audit.read_export(file, vouching)
    else:
        with ledger(loaded.registry) as log:
            found, head = audit.verify(log.envelopes(), vouching)
            audit.check_rows(log.rows())
        anchor = settings().state / ANCHOR
        audit.check_holds("this machine", audit.read_anchor(anchor), found)
        _check_promotion(loaded, found)
        files.write_text(anchor, head.to_json())
    if against is not None:
        audit.check_holds(str(against), audit.read_export(against, vouching)[1], found)
    return head


def export(loaded: Params, path: Path, *, at: datetime) -> Head:
    """Verify the log and write it to `path` as JSON lines. returns: where it ends"""
    key = keys.load_private()
    verify(loaded)
    with ledger(loaded.registry) as log:
        envelopes = log.envelopes()
    _, head = audit.verify(envelopes, trusted(loaded))
    files.write_bytes(path, audit.export(envelopes, head, key=key, at=at))
    return head


def _check_promotion(loaded: Params, found: Sequence[Entry]) -> None:
    """Raise IntegrityError unless the log has the promotion that lies beside the champion in the registry."""
    with store.connected() as client:
        champion = lookup.by_alias(client, loaded.model, CHAMPION)
        envelope = statements.fetch(champion, name=entries.FILE) if champion is not None else None
    if champion is None:
        return
    promoted = [entry for entry in found if entry.model == loaded.model and entry.action in MOVES]
    if not promoted or promoted[-1].version != str(champion.version):
        said = f"version {promoted[-1].version}" if promoted else "none"
        raise IntegrityError(
            f"the alias {CHAMPION} of {loaded.model} points to version {champion.version}, the audit log says {said}: "
            "entries were dropped, or it was moved by hand; restore the database, or run `wattline recover`"
        )
    if envelope is not None:
        entry = entries.unseal(envelope, trusted(loaded))
        audit.check_holds(f"the champion of {loaded.model}", Head(sequence=entry.sequence, hash=entry.hash), found)
