"""Versions for a zoo: real statements of real candidates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders import COLUMNS, STEPS, signature, signing_key, statement, write_candidate

from wattline.records import Column
from wattline.signing.statement import Predicate, Statement
from wattline.supply.zoo import Entry, Status

CARD = "# anomaly\n"


def entry(
    folder: Path,
    version: int = 1,
    *,
    name: str = "anomaly",
    status: Status = "registered",
    columns: Sequence[Column] = COLUMNS,
    steps: int = STEPS,
    signer: str | None = signing_key().public.id,
    imported_from: str | None = None,
    **said: Any,
) -> Entry:
    """Version `version` of the model `name`, with its own weights.

    said: fields of the statement's predicate to say otherwise
    """
    declared = signature(columns, steps=steps)
    candidate = write_candidate(folder / name / str(version), weights=b"%d" % version, declared=declared)
    signed = statement(candidate, name=name, version=str(version))
    return Entry.of(saying(signed, **said), declared, status=status, signer=signer, imported_from=imported_from)


def saying(signed: Statement, **said: Any) -> Statement:
    """The same statement with other words."""
    predicate = Predicate.model_validate(signed.predicate.model_dump() | said)
    return Statement.about(signed.files, predicate)
