"""Register: one version for each candidate, however often and from wherever it is asked for."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError
from wattline.registry import alias, lookup, statements, store, tracking
from wattline.registry.artifacts import CANDIDATE
from wattline.registry.evidence import Evidence, dirty, energy_text, gather, refusals
from wattline.registry.model import CHALLENGER, Change, Model, changing
from wattline.registry.stored import ACCEPTED, DECISION, OVERRIDDEN, check_accepted, downloaded
from wattline.settings import settings
from wattline.signing import model_keys, model_signature

if TYPE_CHECKING:
    from mlflow.entities import Run
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
        known, same = model.ledger.registered(model.name, digest), lookup.by_digest(model.client, model.name, digest)
        if known is None:
            # Somebody may have made a version who did not live to write it into the log.
            chosen = same[0] if same else create(model, evidence, tags=_tags(evidence))
            known = _record(change, chosen, evidence)
        elif known not in {str(one.version) for one in same}:
            lookup.number(model, known)
        lookup.remove_others(model, same, keep=known)
        model.client.set_registered_model_alias(model.name, CHALLENGER, known)
    return known


def _record(change: Change, version: "ModelVersion", evidence: Evidence) -> str:
    """Sign `version` and write it into the log, which is when it counts."""
    number, digest = str(version.version), evidence.candidate.digest
    signed = statements.attach(change.model.client, version, evidence, key=change.model.signer)
    for gate, reason in evidence.overridden.items():
        change.append("override", number, digest=digest, reason=f"{gate}: {reason}")
    clean = version.tags.get(statements.DIRTY) == "false"
    note = "" if clean else "sources were not those of the commit"
    said = {"statement": signed, **_sign_files(version, evidence)}
    change.append("register", number, digest=digest, reason=note, evidence=said)
    return number


def _sign_files(version: "ModelVersion", evidence: Evidence) -> dict[str, str]:
    """Lay OpenSSF's signature over the files beside the statement, where there is a key for it; its digest for the log.

    It says nothing that the statement does not say, but outsiders can verify it without Wattline.
    """
    if not model_keys.exists():
        return {}
    signature = model_signature.sign(evidence.folder / "candidate", model_keys.load_private())
    statements.put(version, signature, name=model_signature.FILE)
    return {"files": hashlib.sha256(signature).hexdigest()}


def create(model: Model, evidence: Evidence, *, tags: Mapping[str, str]) -> "ModelVersion":
    """Upload everything, then create the version that points to it."""
    from mlflow.exceptions import MlflowException

    candidate, client = evidence.candidate, model.client
    known = _own_runs(model, evidence)
    run = known[0] if known else tracking.start_run(client, candidate)
    client.log_artifacts(run.info.run_id, str(evidence.folder))
    if not known:
        client.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/{CANDIDATE}"
    signed = {statements.KEY: model.signer.public.id, **tags}
    try:
        return client.create_model_version(model.name, source, run.info.run_id, tags=signed)
    except MlflowException as error:
        if not store.is_absent(error):
            raise
    _ensure_model(model)
    return client.create_model_version(model.name, source, run.info.run_id, tags=signed)


def _own_runs(model: Model, evidence: Evidence) -> list["Run"]:
    """Runs of the candidate that hold no version of another model: its reports and statements would be overwritten."""
    return [
        run
        for run in tracking.runs(model.client, evidence.candidate)
        if all(one.name == model.name for one in model.client.search_model_versions(f"run_id = '{run.info.run_id}'"))
    ]


def _ensure_model(model: Model) -> None:
    from mlflow.exceptions import MlflowException

    try:
        model.client.create_registered_model(model.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _tags(evidence: Evidence) -> dict[str, str]:
    changed = dirty()
    known = "unknown" if changed is None else str(changed).lower()
    return tracking.origin(evidence.candidate) | {statements.DIRTY: known} | figures(evidence)


def figures(evidence: Evidence) -> dict[str, str]:
    """What a reader of the registry wants to know without opening a file, as tags."""
    cost = evidence.measurement
    tags = {
        DECISION: OVERRIDDEN if refusals(evidence.decision) else ACCEPTED,
        "wattline.weights": evidence.candidate.files.get("weights.safetensors", "none"),
        "wattline.energy_per_1000": energy_text(cost.candidate.energy_per_1000),
        "wattline.latency_p99_ms": f"{cost.candidate.latency_p99_ms:.4g}",
    }
    if cost.training_energy is not None:
        tags["wattline.training_energy"] = energy_text(cost.training_energy)
    for verdict in evidence.decision.verdicts:
        tags[f"wattline.gate.{verdict.name}"] = verdict.outcome
    for metric, score in evidence.evaluation.contenders["candidate"].items():
        tags[f"wattline.metric.{metric}"] = f"{score} over {score.units} units"
    return tags
