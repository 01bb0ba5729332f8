"""The champion's files, fetched from the registry into a folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files, signing
from wattline.errors import InputError
from wattline.params import Params, RegistryParams
from wattline.records import Champion
from wattline.registry import alias, lookup, statements, store
from wattline.registry.model import CHALLENGER, CHAMPION, Model, ledger, of_project
from wattline.registry.stored import downloaded
from wattline.settings import settings
from wattline.signing import entry as entries
from wattline.signing import model_signature

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def fetch_champion(destination: Path, *, name: str, params: RegistryParams) -> Champion:
    """Replace `destination` by the champion's files, what was signed about it and champion.json, in one step.

    A `.gitignore` in it stays. Signatures are verified by who serves the files. Without a champion, champion.json
    with nulls is all that there is. When anything fails, nothing was changed.
    Raises InputError when the alias is not where the audit log says, or the champion was deleted.
    """
    if store.is_empty():
        return _place(destination, Champion())
    with store.connected() as client:
        found, promotion = _champion(client, name, params)
        if found is None:
            return _place(destination, Champion())
        with downloaded(found) as evidence:
            champion = Champion(version=str(found.version), digest=evidence.candidate.digest, name=name)
            signed = {
                signing.FILE: statements.fetch(found),
                entries.FILE: promotion,
                model_signature.FILE: statements.fetch(found, name=model_signature.FILE),
            }
            return _place(destination, champion, source=evidence.folder / "candidate", signed=signed)


@contextmanager
def model_folder(what: str, loaded: Params) -> Iterator[Path]:
    """Files of a candidate: a folder as it is, or a registered version by its number or alias, fetched for the while.

    Raises InputError when there is none by this name, IntegrityError when a version is damaged.
    """
    if Path(what).is_dir():
        yield Path(what)
        return
    if not what.isdecimal() and what not in (CHAMPION, CHALLENGER):
        raise InputError(f"{what!r} is no folder, no number of a version, and neither {CHAMPION} nor {CHALLENGER}")
    with of_project(loaded, reading=True) as model:
        number = what if what.isdecimal() else _version_at(model, what)
        with downloaded(lookup.number(model, number)) as evidence:
            yield evidence.folder / "candidate"


def fetch_version(what: str, destination: Path, *, loaded: Params) -> Champion:
    """Replace `destination` by the files of a version and what was signed about it, in one step.

    what: its number or alias. What made it champion, if anything did, is left out: an image of it is made before.
    returns: which version it is, as champion.json there says, too
    Raises InputError when there is none, IntegrityError when its bytes or its signature do not hold.
    """
    with of_project(loaded, reading=True) as model:
        found = lookup.number(model, what if what.isdecimal() else _version_at(model, what))
        with downloaded(found) as evidence:
            statements.verified(found, evidence, model.trusted)
            signed = {name: statements.fetch(found, name=name) for name in (signing.FILE, model_signature.FILE)}
            version = Champion(version=str(found.version), digest=evidence.candidate.digest, name=model.name)
            return _place(destination, version, source=evidence.folder / "candidate", signed=signed)


def _version_at(model: Model, name: str) -> str:
    found = lookup.by_alias(model.client, model.name, name)
    if found is None:
        raise InputError(f"{model.name} has no {name} yet; name a folder, or the number of a version")
    return str(found.version)


def _champion(client: "MlflowClient", name: str, params: RegistryParams) -> "tuple[ModelVersion | None, bytes | None]":
    """The champion and the entry that made it one: as the log says, or where there is no way to it, the alias."""
    found = lookup.by_alias(client, name, CHAMPION)
    if not settings().has_ledger:
        return found, _stored(found)
    with ledger(params) as log:
        envelope, changing = log.champion(name), log.is_locked(name)
    entry = entries.peek(envelope) if envelope is not None else None
    said, version = entry.version if entry else None, str(found.version) if found is not None else None
    if alias.agrees(found, entry):
        stored = _stored(found)
        return found, stored if _holds(stored, entry) else envelope
    current = lookup.by_number(client, name, said) if said is not None else None
    if current is None or not changing or not alias.agrees(current, entry):
        raise InputError(
            f"the alias {CHAMPION} of {name} points to {version or 'no version'}, the audit log says {said or 'none'}: "
            "it was moved by hand, the version was deleted or a promotion was cut off; run `wattline recover`"
        )
    return current, envelope


def _holds(envelope: bytes | None, entry: entries.Entry | None) -> bool:
    """Whether `envelope` holds just this entry: perhaps signed by a newer key than the one in the log."""
    try:
        return envelope is not None and entries.peek(envelope) == entry
    except InputError:
        return False


def _stored(version: "ModelVersion | None") -> bytes | None:
    return statements.fetch(version, name=entries.FILE) if version is not None else None


def _place(
    destination: Path, champion: Champion, *, source: Path | None = None, signed: dict[str, bytes | None] | None = None
) -> Champion:
    ignored = destination / ".gitignore"
    with files.replace_directory(destination) as fresh:
        if source is not None:
            _copy(source, fresh)
        for name, envelope in (signed or {}).items():
            if envelope is not None:
                files.write_bytes(fresh / name, envelope)
        if ignored.exists():
            shutil.copyfile(ignored, fresh / ".gitignore")
        files.write_text(fresh / "champion.json", champion.to_json())
    return champion


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except shutil.Error as error:  # a list of every file that failed: the first says why
        raise OSError(error.args[0][0][2]) from None
