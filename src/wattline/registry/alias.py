"""The alias `champion`: it follows the audit log, and who moved it by hand is told from who has not finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wattline.errors import InputError, WattlineError
from wattline.registry import lookup, statements, store
from wattline.registry.model import CHAMPION, Model
from wattline.registry.tracking import DIGEST
from wattline.signing import entry as entries
from wattline.signing.entry import MOVES, Entry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

PROMOTION = "wattline.promotion"
"""Tag of a version that was promoted: sequence of the entry, by which a server sees that there is another one."""


def points_to(model: Model) -> str | None:
    """The version that the alias points to."""
    found = lookup.by_alias(model.client, model.name, CHAMPION)
    return None if found is None else str(found.version)


def check(model: Model, entry: Entry | None) -> None:
    """Raise InputError when the alias is not where the log says. Call it under the lock: nobody is moving it then.

    entry: the champion's in the log

    A champion that was deleted has no alias any more; another version may take its place.
    """
    found = lookup.by_alias(model.client, model.name, CHAMPION)
    said = entry.version if entry is not None else None
    deleted = found is None and said is not None and lookup.by_number(model.client, model.name, said) is None
    if agrees(found, entry) or deleted:
        return
    _check_log(model, found, entry)
    points = found.version if found is not None else "no version"
    raise InputError(
        f"the alias {CHAMPION} of {model.name} points to {points}, the audit log says {said or 'none'}: it was moved "
        "by hand, the model was deleted and made anew, or a promotion was cut off; run `wattline recover`"
    )


def agrees(found: "ModelVersion | None", entry: Entry | None) -> bool:
    """Whether the version that the alias points to is the one, and of the candidate, that the log made champion."""
    if found is None or entry is None:
        return found is None and entry is None
    return str(found.version) == entry.version and found.tags.get(DIGEST) == entry.digest


def _check_log(model: Model, found: "ModelVersion | None", entry: Entry | None) -> None:
    """Raise InputError when a version was promoted, and the log knows of no promotion: it is another log."""
    if entry is None and found is not None and PROMOTION in found.tags:
        raise InputError(
            f"version {found.version} of {model.name} was promoted, and this audit log knows of no promotion: it is "
            "empty or another one; check WATTLINE_LEDGER_URI, or restore the database"
        )


def settle(model: Model, expected: "ModelVersion | None" = None, *, envelope: bytes | None = None) -> None:
    """Move the alias to where the log says, and lay the signed entry beside the version's statement first.

    An alias has no fencing: who was overtaken asleep, right here, would move it back. So everybody looks once more
    afterwards, and moves it again until log and alias agree. A server demands the entry, and takes none that is older
    than what it serves, so that it does not follow in between.

    expected: the version that the log probably names
    envelope: the champion's entry, where it was just written
    Raises WattlineError when the alias could not follow, although the log has the move; InputError when the version
    was deleted.
    """
    envelope = envelope or model.ledger.champion(model.name)
    while True:
        if envelope is None:
            found = lookup.by_alias(model.client, model.name, CHAMPION)
            _check_log(model, found, None)
            if found is not None:
                model.client.delete_registered_model_alias(model.name, CHAMPION)
            return
        entry = model.verified(envelope, MOVES)
        number = str(entry.version)
        known = expected if expected is not None and str(expected.version) == number else None
        with _saying(model, number):
            _point(model, known or lookup.of_entry(model, entry), entry)
            before, envelope = envelope, model.ledger.champion(model.name)
        if envelope == before:
            return


def _point(model: Model, version: "ModelVersion", entry: Entry) -> None:
    # Signed anew: who signed it first may have changed keys since.
    statements.put(version, entries.seal(entry, model.signer), name=entries.FILE)
    model.client.set_model_version_tag(model.name, str(version.version), PROMOTION, str(entry.sequence))
    model.client.set_registered_model_alias(model.name, CHAMPION, str(version.version))


@contextmanager
def _saying(model: Model, number: str) -> Iterator[None]:
    """Who reads that a call failed would think that nothing was done."""
    try:
        with store.translated():
            yield
    except InputError:
        raise
    except WattlineError as error:
        raise WattlineError(
            f"version {number} of {model.name} is the champion by the audit log, and its alias did not follow: "
            f"{error}; then run `wattline recover`"
        ) from None
