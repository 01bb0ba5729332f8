"""Versions of a model: found by number, alias or candidate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError
from wattline.registry import store
from wattline.registry.model import CHALLENGER, Model
from wattline.registry.tracking import DIGEST
from wattline.signing.entry import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LONGEST = 18
"""Digits of a version that a database can hold."""


def version(model: Model, number_or_none: str | None) -> "ModelVersion":
    """The version with this number, or else the challenger. Raises InputError when there is none."""
    if number_or_none is not None:
        return number(model, number_or_none)
    challenger = by_alias(model.client, model.name, CHALLENGER)
    if challenger is None:
        raise InputError(f"{model.name} has no challenger; run `wattline register` first")
    return challenger


def number(model: Model, wanted: str) -> "ModelVersion":
    """The version `wanted`. Raises InputError when there is none; says so of one that was deleted."""
    found = by_number(model.client, model.name, wanted)
    if found is not None:
        return found
    if model.about(wanted):
        raise InputError(
            f"version {wanted} of {model.name} was deleted from the registry, the audit log knows it; register or "
            "import its candidate again, or roll back to another version"
        )
    raise InputError(f"{model.name} has no version {wanted!r}; run `wattline register` first")


def of_entry(model: Model, entry: Entry) -> "ModelVersion":
    """The version that an entry of the log is about. Raises InputError when there is none any more.

    Who deletes a registered model and makes it anew has versions that begin with 1 again.
    """
    found = number(model, str(entry.version))
    if found.tags.get(DIGEST) != entry.digest:
        raise InputError(
            f"version {entry.version} of {model.name} is another candidate than in the audit log: the model was "
            "deleted and made anew; restore the registry's database, or give the model another name"
        )
    return found


def check_registered(model: Model, found: "ModelVersion", digest: str) -> None:
    """Raise IntegrityError unless the log knows the candidate as this version: who can write to the store cannot."""
    if model.registered(digest) != str(found.version):
        raise IntegrityError(
            f"version {found.version} of {model.name} is not in the audit log as this candidate; register it with "
            "`wattline register`"
        )


def by_number(client: "MlflowClient", name: str, wanted: str) -> "ModelVersion | None":
    """The version `wanted` of the model `name`; None where there is none."""
    from mlflow.exceptions import MlflowException

    if not wanted.isdecimal() or len(wanted) > LONGEST:
        return None
    try:
        return client.get_model_version(name, wanted)
    except MlflowException as error:
        if store.is_absent(error):
            return None
        raise


def by_alias(client: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    """The version that `alias` points to; None where it points nowhere."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if store.is_absent(error):
            return None
        raise


def by_digest(client: "MlflowClient", name: str, digest: str) -> list["ModelVersion"]:
    """Versions of `name` with this candidate, the oldest first."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{DIGEST}` = '{digest}'")
    return sorted(found, key=lambda one: int(one.version))


def remove_others(model: Model, same: Sequence["ModelVersion"], *, keep: str) -> None:
    """Delete versions of the `same` candidate but `keep`: who made them was overtaken, or killed."""
    if keep not in {str(one.version) for one in same}:  # deleted by hand: what is left is all that there is
        return
    others = [one for one in same if str(one.version) != keep]
    # The tag that says whose candidate it is can be set by others: what the log knows is never deleted.
    logged = set(model.registrations().values()) if others else set()
    for one in others:
        if str(one.version) not in logged:
            model.client.delete_model_version(model.name, str(one.version))


def remove_doubles(model: Model) -> None:
    """Leave one version of each candidate: that in the log, or else the oldest, which `register` takes up again."""
    registered = model.registrations()
    found: dict[str, list[ModelVersion]] = {}
    for one in model.client.search_model_versions(f"name = '{model.name}'"):
        if DIGEST in one.tags:
            found.setdefault(one.tags[DIGEST], []).append(one)
    for digest, same in found.items():
        oldest = min((str(one.version) for one in same), key=int)
        remove_others(model, same, keep=registered.get(digest, oldest))


def overridden(model: Model, found: "ModelVersion") -> frozenset[str]:
    """Gates that a person has overridden for this version."""
    entries = [entry for entry in model.about(str(found.version)) if entry.digest == found.tags.get(DIGEST)]
    return frozenset(entry.reason.partition(":")[0] for entry in entries if entry.action == "override")
