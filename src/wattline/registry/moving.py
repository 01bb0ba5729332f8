"""Move a version to another site and take one from there, with its history."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from wattline.errors import InputError, RejectedError
from wattline.registry import lookup, statements, uploading
from wattline.registry.archive import Unpacked, layout, pack, unpacked
from wattline.registry.evidence import check_verdicts
from wattline.registry.model import CHALLENGER, Change, Model, changing
from wattline.registry.registration import attach, sign_files
from wattline.registry.stored import check_accepted, downloaded
from wattline.registry.tracking import DIGEST
from wattline.signing import keys

ORIGIN = "wattline.imported"
"""Tag of a version that came from another site: its name there."""
FOLDER = "imported"
"""Where what the other site signed lies below the version's run."""


def export(model: Model, version: str | None, *, destination: Path, now: datetime) -> Path:
    """Write the archive of `version`, or else the challenger, after all of it was verified; returns where it is.

    destination: a file, or a folder that is there
    Raises RejectedError or IntegrityError when the version does not hold, InputError when there is none.
    """
    with changing(model) as change:
        chosen = lookup.version(model, version)
        number = str(chosen.version)
        with downloaded(chosen) as evidence:
            check_accepted(chosen, evidence, overridden=lookup.overridden(model, chosen))
            signed = statements.verified(chosen, evidence, model.trusted)
            envelope = statements.fetch(chosen)
            assert envelope is not None
            history = model.ledger.about(model.name, number)
            path = pack(
                evidence.folder,
                envelope,
                history,
                destination=destination,
                key=model.signer,
                site=model.params.site,
                now=now,
            )
        change.append("export", number, digest=chosen.tags.get(DIGEST), evidence={"statement": signed})
    return path


def import_archive(model: Model, archive: Path) -> str:
    """Verify an archive of another site and register what it holds, once, marked with where it came from.

    returns: the version here
    Raises InputError when its signer is not one of registry.import_keys or it is about another task, IntegrityError
    when anything in it does not hold, RejectedError when a gate of the other site had said no.
    """
    trusted = keys.load_public(model.params.import_keys)
    with unpacked(archive, trusted) as found:
        task = model.name.partition("-")[0]
        if found.evidence.candidate.task != task:
            raise InputError(
                f"{archive} holds a model for task {found.evidence.candidate.task!r}, params.yaml is about {task!r}; "
                "import it in the project of its task"
            )
        try:
            check_verdicts(found.evidence.decision, {})  # what was overridden there is not overridden here
        except RejectedError as error:
            with changing(model) as change:
                change.append("refuse", None, digest=found.manifest.candidate, reason=f"import: {error}")
            raise
        return _registered(model, found)


def _registered(model: Model, found: Unpacked) -> str:
    evidence, digest = found.evidence, found.evidence.candidate.digest
    with changing(model) as change:
        known, same = model.registered(digest), lookup.by_digest(model.client, model.name, digest)
        if known not in {str(one.version) for one in same}:
            tags = _tags(found)
            if same:
                chosen, fresh = uploading.renew(model, same[0], evidence, tags=tags), False
            else:
                chosen, fresh = uploading.create(model, evidence, tags=tags)
            known = str(chosen.version)
            _keep_origin(model, chosen.run_id, found)
            said = {"statement": attach(model, chosen, evidence, fresh=fresh), **sign_files(chosen, evidence)}
            _record(change, known, found, said)
        lookup.remove_others(model, same, keep=known)
        model.client.set_registered_model_alias(model.name, CHALLENGER, known)
    return known


def _record(change: Change, number: str, found: Unpacked, evidence: Mapping[str, str]) -> None:
    said = found.manifest
    change.append(
        "import",
        number,
        digest=said.candidate,
        reason=f"version {said.version} of {said.name} from {said.site}, exported {said.exported:%Y-%m-%d %H:%M} UTC",
        evidence={
            **evidence,
            "their statement": hashlib.sha256(found.envelope).hexdigest(),
            "their history": hashlib.sha256(b"".join(found.history)).hexdigest(),
        },
    )


def _tags(found: Unpacked) -> dict[str, str]:
    """What the other site said of its version: commit and data are those over there."""
    said = found.statement.predicate
    return {
        DIGEST: said.digest,
        "wattline.data": said.data,
        "wattline.dataset": said.dataset,
        "wattline.model": said.model,
        "wattline.params": said.params_sha256,
        statements.COMMIT: said.commit,
        statements.DIRTY: {True: "true", False: "false", None: "unknown"}[said.dirty],
        ORIGIN: f"{found.manifest.site}: {said.name} version {said.version}",
        **uploading.figures(found.evidence),
    }


def _keep_origin(model: Model, run_id: str, found: Unpacked) -> None:
    """Keep what the other site signed beside the version."""
    for name in (layout.STATEMENT, layout.HISTORY):
        model.client.log_artifact(run_id, str(found.folder / name), FOLDER)
