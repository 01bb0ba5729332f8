"""The audit log of this project: read, held against everything that remembers it, exported."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files
from wattline.errors import IntegrityError
from wattline.params import Params
from wattline.registry import alias, audit, lookup, statements, store
from wattline.registry.audit import ANCHOR, Head, lines
from wattline.registry.former import FormerKeys
from wattline.registry.model import CHAMPION, ledger
from wattline.settings import settings
from wattline.signing import entry as entries
from wattline.signing import keys
from wattline.signing.entry import Entry
from wattline.signing.keys import PublicKey

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from wattline.registry.ledger import Ledger

__all__ = ["export", "lines", "read", "trusted", "verify"]

SECONDS_BETWEEN_LOOKS = 0.05


def trusted(loaded: Params) -> tuple[tuple[PublicKey, ...], FormerKeys]:
    """Keys whose entries count, and those whose entries did."""
    return keys.load_public(loaded.serving.model.trusted_keys), FormerKeys.load(loaded.registry.former_keys)


def read(loaded: Params) -> list[Entry]:
    """All entries, signatures and links verified. Raises IntegrityError naming the first that does not hold."""
    with ledger(loaded.registry) as log:
        return audit.verify(log.envelopes(), *trusted(loaded))[0]


def verify(loaded: Params, *, file: Path | None = None, against: Path | None = None) -> Head:
    """Where the log, or its export in `file`, ends, after all of it was verified.

    The log must go on from what this machine saw last and from the export `against`, and hold the promotion that lies
    beside the champion in the registry.
    Raises IntegrityError naming the first entry that does not hold, or what was dropped.
    """
    vouching = trusted(loaded)
    if file is not None:
        found, head = audit.read_export(file, *vouching)
    else:
        with ledger(loaded.registry) as log:
            found, head = audit.verify(log.envelopes(), *vouching)
            audit.check_rows(log.rows())
            anchor = settings().state / ANCHOR
            audit.check_holds("this machine", audit.read_anchor(anchor), found)
            _check_promotion(loaded, log, *vouching)
        files.write_text(anchor, head.to_json())
    if against is not None:
        audit.check_holds(str(against), audit.read_export(against, *vouching)[1], found)
    return head


def export(loaded: Params, path: Path, *, at: datetime) -> Head:
    """Verify the log and write it to `path` as JSON lines. returns: where it ends"""
    key = keys.load_private()
    verify(loaded)
    with ledger(loaded.registry) as log:
        envelopes = log.envelopes()
    _, head = audit.verify(envelopes, *trusted(loaded))
    files.write_bytes(path, audit.export(envelopes, head, key=key, at=at))
    return head


def _check_promotion(loaded: Params, log: "Ledger", vouching: Sequence[PublicKey], former: FormerKeys) -> None:
    """Raise IntegrityError unless alias and log agree, and the log has the promotion that lies beside the champion."""
    with store.connected() as client:
        champion, said = _settled(client, loaded, log)
        envelope = statements.fetch(champion, name=entries.FILE) if champion is not None else None
    points_to = str(champion.version) if champion is not None else None
    if points_to != said:
        raise IntegrityError(
            f"the alias {CHAMPION} of {loaded.model} points to version {points_to or 'none'}, the audit log says "
            f"{said or 'none'}: entries were dropped, the version was deleted or the alias was moved by hand; restore "
            "the database, or run `wattline recover`"
        )
    if envelope is not None:
        entry = former.unseal(envelope, vouching)
        found, _ = audit.verify(log.envelopes(), vouching, former)
        audit.check_holds(f"the champion of {loaded.model}", Head(sequence=entry.sequence, hash=entry.hash), found)


def _settled(client: "MlflowClient", loaded: Params, log: "Ledger") -> "tuple[ModelVersion | None, str | None]":
    """Where the alias points to and the champion in the log, once nobody is between the two steps of a change."""
    deadline = time.monotonic() + loaded.registry.wait_seconds
    while True:
        locked, before = log.is_locked(loaded.model), log.champion(loaded.model)
        champion = lookup.by_alias(client, loaded.model, CHAMPION)
        entry = entries.peek(before) if before is not None else None
        said = entry.version if entry is not None else None
        agree = alias.agrees(champion, entry)
        still = not locked and log.champion(loaded.model) == before
        if agree or still or time.monotonic() > deadline:
            same = said is not None and champion is not None and str(champion.version) == said
            return champion, f"{said} of another candidate" if same and not agree else said
        time.sleep(SECONDS_BETWEEN_LOOKS)
