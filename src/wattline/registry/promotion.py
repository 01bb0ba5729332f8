"""Promote and roll back: an entry in the audit log is the act, the alias follows it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError, RejectedError, SupersededError
from wattline.registry import alias, lookup, statements
from wattline.registry.approval import approvals, approve_as_job
from wattline.registry.evidence import Evidence
from wattline.registry.model import Change, Model, changing
from wattline.registry.stored import check_accepted, downloaded
from wattline.registry.tracking import DIGEST
from wattline.signing.entry import MOVES, Action, Entry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

COMPARISON = "champion"
"""The gate whose evidence a new champion makes stale."""


def promote(model: Model, version: str | None = None, *, overrides: Mapping[str, str] | None = None) -> str:
    """Make `version`, or else the challenger, the champion, after its bytes, verdicts and signature were checked again.

    overrides: {"champion": why} promotes a version that was compared with another champion
    returns: the version
    Raises SupersededError when another one became champion while this one waited or slept, RejectedError,
    IntegrityError or InputError when the version must not be promoted; at most a refusal in the log is written then.
    """
    before = model.ledger.champion(model.name)
    with changing(model) as change:
        try:
            now = _unchanged(model, before)
            alias.check(model, now)
            return _promote(change, now, version, overrides or {})
        except (RejectedError, IntegrityError, SupersededError) as error:
            _refuse(change, version, f"promote: {error}")
            raise


def rollback(model: Model, to: str | None = None, *, reason: str = "") -> str:
    """Make the champion before this one, or the former champion `to`, the champion again.

    reason: why, for the log
    returns: the version
    Raises InputError when there is none, IntegrityError or RejectedError when its bytes or verdicts do not hold.
    """
    before = model.ledger.champion(model.name)
    with changing(model) as change:
        now = _unchanged(model, before)
        if now is None or now.version is None:
            raise InputError(f"{model.name} has no champion; there is nothing to roll back")
        if to is None and now.action == "rollback" and alias.points_to(model) == now.former:
            # The last rollback was cut off before the alias followed. It is asked for again: once more would be twice.
            alias.settle(model)
            return now.version
        chosen = lookup.of_entry(model, _former(model, now.version, to))
        with downloaded(chosen) as evidence:
            signed = _check(model, chosen, evidence)
        _move(change, "rollback", chosen, former=now.version, reason=reason, signed=signed)
    return str(chosen.version)


def recover(model: Model) -> Entry | None:
    """Make the alias what the audit log says, and delete versions that nobody lived to write into it.

    returns: the entry that made the champion; None without one
    Raises InputError when the champion was deleted.
    """
    with changing(model) as change:
        lookup.remove_doubles(model)
        found, now = alias.points_to(model), model.champion()
        if now is not None:
            lookup.of_entry(model, now)
        alias.settle(model)
        version = now.version if now is not None else None
        if found != version:
            change.append("recover", version, reason=f"alias pointed to {found or 'nothing'}")
    return now


def _promote(change: Change, now: Entry | None, version: str | None, overrides: Mapping[str, str]) -> str:
    model = change.model
    chosen = lookup.version(model, version)
    number = str(chosen.version)
    former = now.version if now is not None else None
    if former is not None and int(number) < int(former):
        raise InputError(
            f"version {number} of {model.name} is older than its champion {former}; `wattline rollback --to {number}` "
            "goes back, on the record"
        )
    with downloaded(chosen) as evidence:
        signed = _check(model, chosen, evidence)
        if number == former:
            alias.settle(model, chosen)
            return number
        set_aside = _check_comparison(model, number, evidence, now, overrides)
    if set_aside and model.params.approvals:
        raise InputError(
            f"version {number} of {model.name} was compared with another champion, and who approved it has not seen an "
            "override; evaluate it against today's champion"
        )
    approve_as_job(change, chosen, signed)
    people = approvals(model, chosen, signed)
    _check_approved(model, number, people)
    if set_aside:
        change.append("override", number, digest=evidence.candidate.digest, reason=f"{COMPARISON}: {set_aside}")
    reason = f"approved by {', '.join(sorted(people))}" if people else ""
    _move(change, "promote", chosen, former=former, reason=reason, signed=signed)
    return number


def _check(model: Model, chosen: "ModelVersion", evidence: Evidence) -> str:
    """SHA-256 of the verified statement. Raises when verdicts, bytes or signature do not hold."""
    check_accepted(chosen, evidence, overridden=lookup.overridden(model, chosen))
    lookup.check_registered(model, chosen, evidence.candidate.digest)
    return statements.verified(chosen, evidence, model.trusted)


def _check_comparison(
    model: Model, number: str, evidence: Evidence, now: Entry | None, overrides: Mapping[str, str]
) -> str | None:
    """Raise SupersededError unless the gates compared the candidate with today's champion.

    returns: why that was set aside; None where they did
    """
    compared, champion = evidence.evaluation.champion.digest, now.digest if now is not None else None
    if compared == champion:
        return None
    reason = overrides.get(COMPARISON, "").strip()
    if reason and COMPARISON in model.params.overridable:
        return reason
    with_whom = f"candidate {compared[:12]}" if compared else "no champion"
    today = f"version {now.version} ({champion[:12]})" if now is not None and champion else "none"
    raise SupersededError(
        f"version {number} of {model.name} was compared with {with_whom}, the champion is {today}; run "
        "`wattline champion`, `dvc repro` and `wattline register` again"
    )


def _check_approved(model: Model, number: str, people: frozenset[str]) -> None:
    wanted = model.params.approvals
    if len(people) < wanted:
        raise RejectedError(
            f"version {number} of {model.name} is approved by {len(people)} of {wanted} people "
            f"({', '.join(sorted(people)) or 'nobody'}); run `wattline approve --version {number}`"
        )


def _former(model: Model, now: str, to: str | None) -> Entry:
    """The entry that made the version champion that a rollback goes back to."""
    stack: list[Entry] = []
    for move in model.moves():
        if move.action == "promote":
            stack.append(move)
        else:
            while stack and stack[-1].version != move.version:
                stack.pop()
    if to is None:
        if len(stack) < 2:
            raise InputError(f"{model.name} had no champion before version {now}; there is nothing to go back to")
        return stack[-2]
    found = next((move for move in reversed(stack[:-1]) if move.version == to), None)
    if found is None:
        former = ", ".join(str(move.version) for move in stack[:-1]) or "none"
        raise InputError(f"version {to} of {model.name} was no champion before version {now}; former ones: {former}")
    return found


def _move(
    change: Change, action: Action, chosen: "ModelVersion", *, former: str | None, reason: str, signed: str
) -> None:
    number, digest = str(chosen.version), chosen.tags[DIGEST]
    said = {"statement": signed}
    envelope = change.append(action, number, digest=digest, former=former, reason=reason, evidence=said)
    alias.settle(change.model, chosen, envelope=envelope)


def _refuse(change: Change, version: str | None, reason: str) -> None:
    """Write the refusal down, unless it is that this process was too slow to write anything."""
    with suppress(SupersededError, InputError):
        change.append("refuse", str(lookup.version(change.model, version).version), reason=reason)


def _unchanged(model: Model, before: bytes | None) -> Entry | None:
    """The champion's entry. Raises SupersededError when it is another one than when this process began to wait."""
    now = model.ledger.champion(model.name)
    entry = None if now is None else model.verified(now, MOVES)
    if now == before:
        return entry
    who = f"{entry.actor.name} made version {entry.version} champion of {model.name}" if entry else "it was taken away"
    raise SupersededError(f"superseded: {who} meanwhile; evaluate the candidate against the champion and try again")
