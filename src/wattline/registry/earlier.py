"""Score and energy of every version that was registered so far, fetched into a folder for the next comparison.

They lie beside champion/ and not in it: what is served from there is signed file by file, and a version that was only
registered must not make the champion's evaluation stale.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from wattline import files, signing
from wattline.errors import InputError, IntegrityError
from wattline.records import Earlier, EarlierVersion, Evaluation, Measurement, Record
from wattline.registry import statements, store
from wattline.registry.artifacts import Artifacts
from wattline.registry.moving import ORIGIN
from wattline.signing.keys import PublicKey, load_public
from wattline.signing.statement import Predicate

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FILE = "versions.json"
NO_KEY = "there is no key to believe a signed report by"

AnyRecord = TypeVar("AnyRecord", bound=Record)


def fetch_earlier(destination: Path, *, name: str, trusted_keys: Sequence[str]) -> Earlier:
    """Write versions.json to `destination`: what the signed reports of every version of the model `name` say.

    trusted_keys: paths of public keys; a version that none of them vouches for is named as unreadable
    Raises WattlineError when the store cannot be reached.
    """
    earlier = Earlier() if store.is_empty() else _read(name, trusted_keys)
    files.write_text(destination / FILE, earlier.to_json())
    return earlier


def _read(name: str, trusted_keys: Sequence[str]) -> Earlier:
    versions: list[EarlierVersion] = []
    unreadable: list[str] = []
    try:
        trusted = load_public(trusted_keys)
    except InputError:
        trusted = ()
    with store.connected() as client:
        for found in sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version)):
            try:
                versions.append(_version(found, trusted))
            except (InputError, IntegrityError) as error:
                unreadable.append(f"version {found.version}: {NO_KEY if not trusted else error}")
    return Earlier(model=name, versions=tuple(versions), unreadable=tuple(unreadable))


def _version(version: "ModelVersion", trusted: Sequence[PublicKey]) -> EarlierVersion:
    """Raises InputError or IntegrityError unless a trusted key signed it and the reports are those that it names."""
    envelope = statements.fetch(version)
    if envelope is None:
        raise InputError("it has no signed statement; run `wattline sign`")
    said = signing.verify(envelope, trusted).predicate
    if (said.name, said.version) != (version.name, str(version.version)):
        raise IntegrityError(f"its statement is about version {said.version} of {said.name}; register it again")
    evaluation = _report(version, said, "evaluate", Evaluation)
    measurement = _report(version, said, "measure", Measurement)
    return EarlierVersion(
        version=said.version,
        digest=said.digest,
        metric=said.headline.name,
        score=said.metrics[said.headline.name].value,
        rows_sha256=evaluation.rows_sha256,
        energy_per_1000=said.energy_per_1000,
        batch=measurement.candidate.batch,
        machine=measurement.machine,
        origin=version.tags.get(ORIGIN),
    )


def _report(version: "ModelVersion", said: Predicate, stage: str, kind: type[AnyRecord]) -> AnyRecord:
    path = f"reports/{stage}.json"
    content = Artifacts(version).read(path)
    if content is None or hashlib.sha256(content).hexdigest() != said.evidence.get(path):
        raise IntegrityError(f"its {path} is not the one that was signed; register the candidate again")
    try:
        return kind.from_json(content)
    except ValidationError:
        raise InputError(f"its {path} was written by a release that this one cannot read") from None
