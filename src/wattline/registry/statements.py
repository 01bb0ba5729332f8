"""The signed statement of a version: made from its evidence, kept with its run, and read back before it counts."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattline import files, signing
from wattline.errors import InputError, IntegrityError
from wattline.registry.artifacts import Artifacts
from wattline.registry.evidence import Evidence
from wattline.signing.keys import PrivateKey, PublicKey
from wattline.signing.statement import CardSummary, Statement, compose

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

COMMIT = "wattline.commit"
DIRTY = "wattline.dirty"
KEY = "wattline.key"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def place(version: str, name: str = signing.FILE) -> str:
    """Artifact path of what is signed about a version, below its run; a version's files are at candidate/<name>."""
    return f"statements/{version}/{name}"


def attach(client: "MlflowClient", version: "ModelVersion", evidence: Evidence, *, key: PrivateKey) -> str:
    """Sign the statement of `version` and put it beside the version's files, unless the same lies there already.

    returns: SHA-256 of the envelope
    Raises InputError when it cannot be made, IntegrityError when the store does not give back what was sent.
    """
    envelope = signing.sign(about(version, evidence), key)
    put(version, envelope, name=signing.FILE)
    if version.tags.get(KEY) != key.public.id:
        client.set_model_version_tag(version.name, version.version, KEY, key.public.id)
    return hashlib.sha256(envelope).hexdigest()


def verified(version: "ModelVersion", evidence: Evidence, trusted: Sequence[PublicKey]) -> str:
    """SHA-256 of the statement of `version`, which a trusted key signed and which says what the version holds.

    Raises InputError when there is none, IntegrityError when it is another one's or says something else.
    """
    envelope = fetch(version)
    if envelope is None:
        raise InputError(
            f"version {version.version} of {version.name} has no signed statement; run `wattline sign --version "
            f"{version.version}` with a trusted key"
        )
    if signing.verify(envelope, trusted) != about(version, evidence):
        raise IntegrityError(
            f"the signed statement of version {version.version} of {version.name} says something else than the "
            "version holds; it was made for another one or the version was altered, register the candidate again"
        )
    return hashlib.sha256(envelope).hexdigest()


def put(version: "ModelVersion", envelope: bytes, *, name: str) -> None:
    """Lay `envelope` beside the statement as `name`. Raises IntegrityError when it does not come back as sent."""
    Artifacts(version).write(place(str(version.version), name), envelope)


def fetch(version: "ModelVersion", *, name: str = signing.FILE) -> bytes | None:
    """The envelope `name` of `version` as stored, unverified; None where there is none."""
    return Artifacts(version).read(place(str(version.version), name))


def about(version: "ModelVersion", evidence: Evidence) -> Statement:
    """What is said of `version`: all of it follows from what the store holds, so it can be said again."""
    summary = card_summary(evidence.folder / "cards" / f"{evidence.candidate.task}.cdx.json")
    parts = ("reports", "cards", "provenance")
    return compose(
        evidence.candidate,
        name=version.name,
        version=str(version.version),
        commit=version.tags.get(COMMIT, "unknown"),
        dirty={"true": True, "false": False}.get(version.tags.get(DIRTY, "")),
        registered=EPOCH + timedelta(milliseconds=version.creation_timestamp),
        decision=evidence.decision,
        evaluation=evidence.evaluation,
        measurement=evidence.measurement,
        card=summary,
        evidence={
            f"{part}/{name}": digest for part in parts for name, digest in files.digests(evidence.folder / part).items()
        },
    )


def card_summary(path: Path) -> CardSummary:
    """What the bill of materials at `path` repeats of the model card; what it does not say is None."""
    try:
        component = json.loads(path.read_bytes())["metadata"]["component"]
    except (OSError, ValueError, KeyError, TypeError):
        return CardSummary()
    considerations = _at(component, "modelCard", "considerations")
    properties = {_at(one, "name"): _at(one, "value") for one in _at(component, "properties") or []}
    said = {
        "purpose": _at(component, "description"),
        "intended_use": _at(considerations, "useCases", 0),
        "out_of_scope": properties.get("wattline:out_of_scope"),
        "limits": _at(considerations, "technicalLimitations", 0),
        "output": properties.get("wattline:output"),
        "owner": _at(component, "manufacturer", "name"),
        "licence": _at(component, "licenses", 0, "license", "name"),
    }
    return CardSummary(**{name: text for name, text in said.items() if isinstance(text, str)})


def _at(content: Any, *keys: str | int) -> Any:
    """What lies below `keys`; None where there is nothing."""
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return None
    return content
