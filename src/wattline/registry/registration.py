"""Register: one version for each candidate, however often and from wherever it is asked for."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError
from wattline.registry import alias, lookup, statements, uploading
from wattline.registry.evidence import Evidence, gather
from wattline.registry.model import CHALLENGER, Change, Model, changing
from wattline.registry.stored import PARTS, check_accepted, downloaded
from wattline.settings import settings
from wattline.signing import model_keys, model_signature

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ATTEMPTS = 3
"""Who was overtaken looks again: the version it wanted is probably there."""


def register(model: Model, *, overrides: Mapping[str, str] | None = None, allow_dirty: bool = False) -> str:
    """Register models/candidate as a signed version of `model`, once for each digest, and make it the challenger.

    overrides: gate -> why its answer is set aside; only gates in registry.overridable
    allow_dirty: whether sources may differ from the commit; never in CI
    returns: the version
    Raises RejectedError, IntegrityError or InputError when the candidate must not be registered, WattlineError when the
    store cannot be reached; a version counts only when all of its files are there and the log says so.
    """
    _check_allowed(model, overrides or {}, allow_dirty=allow_dirty)
    try:
        with gather(overrides=overrides, allow_dirty=allow_dirty) as evidence:
            return _registered(model, evidence)
    except (RejectedError, IntegrityError) as error:
        with changing(model) as change:
            change.append("refuse", None, reason=f"register: {error}")
        raise


def sign(model: Model, version: str | None = None) -> str:
    """Sign `version`, or else the challenger, again: after a change of keys.

    Its files and verdicts are downloaded and checked again first. returns: the version
    Raises RejectedError or IntegrityError when the version must not be served.
    """
    with changing(model) as change:
        chosen = lookup.version(model, version)
        with downloaded(chosen) as evidence:
            check_accepted(chosen, evidence, overridden=lookup.overridden(model, chosen))
            lookup.check_registered(model, chosen, evidence.candidate.digest)
            signed = statements.attach(model.client, chosen, evidence, key=model.signer)
            change.append("sign", str(chosen.version), digest=evidence.candidate.digest, evidence={"statement": signed})
        now = model.champion()
        if now is not None and now.version == str(chosen.version):
            alias.settle(model, chosen)  # a server holds the champion against its entry, too
    return str(chosen.version)


def _check_allowed(model: Model, overrides: Mapping[str, str], *, allow_dirty: bool) -> None:
    for gate, reason in overrides.items():
        if gate not in model.params.overridable:
            allowed = ", ".join(model.params.overridable) or "none"
            raise InputError(f"gate {gate!r} may not be overridden; registry.overridable allows {allowed}")
        if not reason.strip():
            raise InputError(f"the override of gate {gate!r} gives no reason; add --reason")
    if allow_dirty and settings().ci:
        raise InputError("--allow-dirty is not for CI: there, sources are those of the commit; commit what changed")


def _registered(model: Model, evidence: Evidence) -> str:
    for _ in range(ATTEMPTS - 1):
        try:
            return _register_once(model, evidence)
        except SupersededError:
            continue
    return _register_once(model, evidence)


def _register_once(model: Model, evidence: Evidence) -> str:
    digest = evidence.candidate.digest
    with changing(model) as change:
        known, same = model.registered(digest), lookup.by_digest(model.client, model.name, digest)
        held = next((one for one in same if str(one.version) == known), None)
        if held is not None:
            number = str(held.version)
            _repair(change, held, evidence)
        else:
            # Somebody may have made a version who did not live to write it into the log, or deleted the one in it.
            number = _record(change, same[0] if same else None, evidence)
        lookup.remove_others(model, same, keep=number)
        model.client.set_registered_model_alias(model.name, CHALLENGER, number)
    return number


def _record(change: Change, left: "ModelVersion | None", evidence: Evidence) -> str:
    """Create a version, sign it and write it into the log, which is when it counts.

    left: a version of this candidate that is not in the log
    """
    model, digest, tags = change.model, evidence.candidate.digest, uploading.origin(evidence)
    if left is None:
        version, fresh = uploading.create(model, evidence, tags=tags)
    else:
        version, fresh = uploading.renew(model, left, evidence, tags=tags), False
    number = str(version.version)
    _record_overrides(change, number, evidence)
    signed = attach(model, version, evidence, fresh=fresh)
    clean = version.tags.get(statements.DIRTY) == "false"
    note = "" if clean else "sources were not those of the commit"
    said = {"statement": signed, **sign_files(version, evidence)}
    change.append("register", number, digest=digest, reason=note, evidence=said)
    return number


def _repair(change: Change, version: "ModelVersion", evidence: Evidence) -> None:
    """Upload again what is lost or altered: who was overtaken while asleep may have written into the version's run."""
    model, number = change.model, str(version.version)
    try:
        with downloaded(version) as held:
            check_accepted(version, held, overridden=lookup.overridden(model, version))
            statements.verified(version, held, model.trusted)
            return
    except (RejectedError, IntegrityError, InputError) as error:
        why = f"repaired: {error}"
    renewed = uploading.renew(model, version, evidence, tags=uploading.origin(evidence))
    _record_overrides(change, number, evidence)
    signed = _attach_held(model, renewed, evidence)
    change.append("sign", number, digest=evidence.candidate.digest, reason=why, evidence={"statement": signed})


def attach(model: Model, version: "ModelVersion", evidence: Evidence, *, fresh: bool) -> str:
    """Sign the statement of `version`: of `evidence` where that is all that was ever uploaded, else of what is held.

    returns: SHA-256 of the envelope
    """
    if not fresh:
        return _attach_held(model, version, evidence)
    return statements.attach(model.client, version, evidence, key=model.signer)


def _check_arrived(version: "ModelVersion", sent: Evidence, held: Evidence) -> None:
    """Raise IntegrityError naming the first file that the store does not give back as it was sent."""
    found = files.digests(held.folder)
    for name, digest in files.digests(sent.folder).items():
        if name.split("/")[0] in PARTS and found.get(name) != digest:
            raise IntegrityError(
                f"the store gave back another {name} of version {version.version} of {version.name} than was sent; "
                "check the store and try again"
            )


def _attach_held(model: Model, version: "ModelVersion", evidence: Evidence) -> str:
    """Sign what the store holds, a report of somebody killed among it, after a check. returns: SHA-256 of that"""
    with downloaded(version) as held:
        check_accepted(version, held, overridden=lookup.overridden(model, version))
        _check_arrived(version, evidence, held)
        return statements.attach(model.client, version, held, key=model.signer)


def _record_overrides(change: Change, number: str, evidence: Evidence) -> None:
    known = {entry.reason for entry in change.model.about(number) if entry.action == "override"}
    for gate, why in evidence.overridden.items():
        if f"{gate}: {why}" not in known:
            change.append("override", number, digest=evidence.candidate.digest, reason=f"{gate}: {why}")


def sign_files(version: "ModelVersion", evidence: Evidence) -> dict[str, str]:
    """Lay OpenSSF's signature over the files beside the statement, where there is a key for it; its digest for the log.

    It says nothing that the statement does not say, but outsiders can verify it without Wattline.
    """
    if not model_keys.exists():
        return {}
    signature = model_signature.sign(evidence.folder / "candidate", model_keys.load_private())
    statements.put(version, signature, name=model_signature.FILE)
    return {"files": hashlib.sha256(signature).hexdigest()}
