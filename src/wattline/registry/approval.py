"""Approvals: who agreed to a promotion, when, and to which evidence."""

from typing import TYPE_CHECKING

from wattline.registry import lookup, statements
from wattline.registry.actors import UNKNOWN, actor, person
from wattline.registry.model import Change, Model, changing
from wattline.registry.stored import check_accepted, downloaded
from wattline.registry.tracking import DIGEST
from wattline.signing.entry import Actor

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def approve(model: Model, version: str | None = None, *, reason: str = "") -> tuple[str, Actor]:
    """Record that the person who runs this agrees to `version`, or else the challenger.

    What they agree to is its signed statement: files, verdicts, figures and evidence.
    returns: the version, and who agreed to it
    Raises InputError where no person can be told, RejectedError or IntegrityError when it could not be promoted anyway.
    """
    who = person()
    with changing(model) as change:
        chosen = lookup.version(model, version)
        with downloaded(chosen) as evidence:
            check_accepted(chosen, evidence, overridden=lookup.overridden(model, chosen))
            signed = statements.verified(chosen, evidence, model.trusted)
        if who.name not in approvals(model, chosen, signed):
            _record(change, chosen, signed, who=who, reason=reason)
    return str(chosen.version), who


def approvals(model: Model, chosen: "ModelVersion", signed: str) -> frozenset[str]:
    """Names of the people who agreed to the statement with SHA-256 `signed`. A new statement needs them anew."""
    return frozenset(
        entry.actor.name
        for entry in model.about(str(chosen.version))
        if entry.action == "approve" and entry.actor.kind == "person" and entry.evidence.get("statement") == signed
    )


def approve_as_job(change: Change, chosen: "ModelVersion", signed: str) -> None:
    """Where approvals are needed and a person started this CI job by hand, that is theirs."""
    who = actor()
    if not change.model.params.approvals or who.job is None or who.kind != "person" or who.name == UNKNOWN:
        return
    if who.name not in approvals(change.model, chosen, signed):
        _record(change, chosen, signed, who=who, reason="started the job by hand")


def _record(change: Change, chosen: "ModelVersion", signed: str, *, who: Actor, reason: str) -> None:
    digest = chosen.tags.get(DIGEST)
    change.append("approve", str(chosen.version), digest=digest, reason=reason, evidence={"statement": signed}, who=who)
