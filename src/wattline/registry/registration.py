"""Register: one version for each candidate, however often and from wherever it is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError
from wattline.registry import lookup, statements, tracking
from wattline.registry.evidence import Evidence, dirty, energy_text, gather
from wattline.registry.model import CHALLENGER, Change, Model, changing
from wattline.registry.stored import DECISION, PARTS, answer, check_accepted, downloaded
from wattline.settings import settings

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
        with downloaded(model.client, chosen) as evidence:
            check_accepted(chosen, evidence, overridden=lookup.overridden(model, chosen))
            signed = statements.attach(model.client, chosen, evidence, key=model.key)
            change.append("sign", str(chosen.version), digest=evidence.candidate.digest, evidence={"statement": signed})
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
        known = model.registered(digest)
        if known is None:
            known = _record(change, lookup.unrecorded(model, digest), evidence)
        else:
            _repair(change, lookup.number(model, known), evidence)
        lookup.remove_others(model, digest, keep=known)
        model.client.set_registered_model_alias(model.name, CHALLENGER, known)
    return known


def _record(change: Change, left: "ModelVersion | None", evidence: Evidence) -> str:
    """Create a version, sign it and write it into the log, which is when it counts.

    left: a version of this candidate that somebody made who did not live to write it into the log
    """
    model, digest = change.model, evidence.candidate.digest
    version, fresh = _create(model, evidence) if left is None else (_renew(model, left, evidence), False)
    number = str(version.version)
    _record_overrides(change, number, evidence)
    signed = statements.attach(model.client, version, evidence, key=model.key) if fresh else _sign_held(model, version)
    clean = version.tags.get(statements.DIRTY) == "false"
    note = "" if clean else "sources were not those of the commit"
    change.append("register", number, digest=digest, reason=note, evidence={"statement": signed})
    return number


def _repair(change: Change, version: "ModelVersion", evidence: Evidence) -> None:
    """Upload again what is lost or altered: who was overtaken while asleep may have written into the version's run."""
    model, number = change.model, str(version.version)
    try:
        with downloaded(model.client, version) as held:
            check_accepted(version, held, overridden=lookup.overridden(model, version))
            statements.verified(model.client, version, held, model.trusted)
            return
    except (RejectedError, IntegrityError, InputError) as error:
        why = f"repaired: {error}"
    renewed = _renew(model, version, evidence)
    _record_overrides(change, number, evidence)
    signed = _sign_held(model, renewed)
    change.append("sign", number, digest=evidence.candidate.digest, reason=why, evidence={"statement": signed})


def _renew(model: Model, version: "ModelVersion", evidence: Evidence) -> "ModelVersion":
    """Upload `evidence` into the run of `version` again."""
    number = str(version.version)
    model.client.log_artifacts(version.run_id, str(evidence.folder))
    for name, value in _tags(evidence).items():
        model.client.set_model_version_tag(model.name, number, name, value)
    return lookup.number(model, number)


def _sign_held(model: Model, version: "ModelVersion") -> str:
    """Sign what the store holds, a report of somebody killed among it, after a check. returns: SHA-256 of that"""
    with downloaded(model.client, version) as held:
        check_accepted(version, held, overridden=lookup.overridden(model, version))
        return statements.attach(model.client, version, held, key=model.key)


def _record_overrides(change: Change, number: str, evidence: Evidence) -> None:
    known = {entry.reason for entry in change.model.about(number) if entry.action == "override"}
    for gate, why in evidence.overridden.items():
        if f"{gate}: {why}" not in known:
            change.append("override", number, digest=evidence.candidate.digest, reason=f"{gate}: {why}")


def _create(model: Model, evidence: Evidence) -> tuple["ModelVersion", bool]:
    """Upload everything, then create the version that points to it. returns: whether nothing else lies there, too"""
    candidate, client = evidence.candidate, model.client
    known = _own_runs(model, evidence)
    run = known[0] if known else tracking.start_run(client, candidate)
    fresh = not known or not client.list_artifacts(run.info.run_id)
    client.log_artifacts(run.info.run_id, str(evidence.folder))
    if not known:
        client.set_terminated(run.info.run_id)
    _ensure_model(model)
    source = f"{run.info.artifact_uri}/{PARTS[0]}"
    return client.create_model_version(model.name, source, run.info.run_id, tags=_tags(evidence)), fresh


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
    """What a reader of the registry wants to know without opening a file."""
    cost = evidence.measurement
    changed = dirty()
    tags = tracking.origin(evidence.candidate) | {
        DECISION: answer(evidence),
        statements.DIRTY: "unknown" if changed is None else str(changed).lower(),
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
