"""Every registered version as an entry of the model zoo."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from wattline import files, signing
from wattline.errors import IntegrityError
from wattline.records import Signature
from wattline.registry import lookup, statements
from wattline.registry.model import CHALLENGER, Model
from wattline.registry.moving import ORIGIN
from wattline.registry.stored import downloaded
from wattline.supply.zoo import Entry, Status

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def entries(model: Model) -> list[Entry]:
    """What the zoo says of each version in the audit log that was not deleted, the oldest first.

    Raises IntegrityError or InputError naming the first version whose bytes or statement do not hold.
    """
    moves = model.moves()
    former = {str(move.version) for move in moves}
    champion = str(moves[-1].version) if moves else None
    challenger = lookup.by_alias(model.client, model.name, CHALLENGER)
    numbers = sorted(model.registrations().values(), key=int)
    return [
        _entry(
            model,
            version,
            champion=champion,
            challenger=str(challenger.version) if challenger is not None else None,
            former=former,
        )
        for number in numbers
        if (version := lookup.by_number(model.client, model.name, number)) is not None
    ]


def _entry(
    model: Model,
    version: "ModelVersion",
    *,
    champion: str | None,
    challenger: str | None,
    former: Collection[str],
) -> Entry:
    number, origin = str(version.version), version.tags.get(ORIGIN)
    status = _status(number, champion=champion, challenger=challenger, former=former, imported=origin is not None)
    with downloaded(version) as evidence:
        statements.verified(version, evidence, model.trusted)
        signature = files.read_record(evidence.folder / "candidate" / "signature.json", Signature)
    envelope = statements.fetch(version)
    if envelope is None:
        raise IntegrityError(f"version {number} of {model.name} lost its statement; run `wattline sign`")
    return Entry.of(
        signing.verify(envelope, model.trusted),
        signature,
        status=status,
        signer=version.tags.get(statements.KEY),
        imported_from=origin,
    )


def _status(
    number: str, *, champion: str | None, challenger: str | None, former: Collection[str], imported: bool
) -> Status:
    if number == champion:
        return "champion"
    if number in former:
        return "former champion"
    if number == challenger:
        return "challenger"
    return "imported" if imported else "registered"
