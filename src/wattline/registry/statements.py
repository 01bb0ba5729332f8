"""The signed statement of a version: made from its evidence, kept with its run, and read back before it counts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wattline import files, signing
from wattline.errors import IntegrityError
from wattline.registry.evidence import Evidence
from wattline.signing.keys import PrivateKey
from wattline.signing.statement import CardSummary, Statement, compose

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

COMMIT = "wattline.commit"
DIRTY = "wattline.dirty"
KEY = "wattline.key"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def place(version: str) -> str:
    """Artifact path of a version's statement below its run; a version's files are at candidate/<name>."""
    return f"statements/{version}/{signing.FILE}"


def attach(client: "MlflowClient", version: "ModelVersion", evidence: Evidence, *, key: PrivateKey) -> None:
    """Sign the statement of `version` and put it beside the version's files, unless the same lies there already.

    Raises InputError when it cannot be made, IntegrityError when the store does not give back what was sent.
    """
    envelope = signing.sign(about(version, evidence), key)
    if fetch(client, version) != envelope:
        _upload(client, version, envelope)
    stored = fetch(client, version)
    if stored != envelope:
        raise IntegrityError(
            f"the store gave back another statement of version {version.version} of {version.name} than was sent; "
            "check the store and promote again"
        )
    signing.verify(stored, [key.public])
    client.set_model_version_tag(version.name, version.version, KEY, key.public.id)


def fetch(client: "MlflowClient", version: "ModelVersion") -> bytes | None:
    """The envelope of `version` as stored, unverified; None for one that was promoted before there were any."""
    path = place(str(version.version))
    if path not in {found.path for found in client.list_artifacts(version.run_id, str(Path(path).parent))}:
        return None
    with TemporaryDirectory(prefix="wattline-") as temporary:
        return Path(client.download_artifacts(version.run_id, path, temporary)).read_bytes()


def about(version: "ModelVersion", evidence: Evidence) -> Statement:
    """What is said of `version`: all of it follows from what the store holds, so it can be said again."""
    summary = card_summary(evidence.folder / "cards" / f"{evidence.candidate.task}.cdx.json")
    parts = ("reports", "cards")
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


def _upload(client: "MlflowClient", version: "ModelVersion", envelope: bytes) -> None:
    path = place(str(version.version))
    with TemporaryDirectory(prefix="wattline-") as temporary:
        local = Path(temporary) / signing.FILE
        local.write_bytes(envelope)
        client.log_artifact(version.run_id, str(local), str(Path(path).parent))
