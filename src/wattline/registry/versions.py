"""Versions of the model: registered once, promoted after another check, fetched as files."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wattline import files, signing
from wattline.errors import InputError
from wattline.records import Candidate, Champion
from wattline.registry import statements, store, tracking
from wattline.registry.evidence import Evidence, dirty, energy_text, gather
from wattline.registry.stored import ACCEPTED, DECISION, check_accepted, downloaded
from wattline.signing import keys

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
CHAMPION = "champion"
PREVIOUS = "wattline.previous"


def register(*, name: str) -> str:
    """Register models/candidate as a version of `name`, once for each digest, and make it the challenger.

    returns: the version
    Raises RejectedError, IntegrityError or InputError when the candidate must not be registered, WattlineError when the
    store cannot be reached; a version exists only when all of its files do.
    """
    with gather() as evidence, store.session() as client:
        version = _find(client, name, evidence.candidate.digest) or _create(client, name, evidence)
        client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def promote(version: str | None = None, *, name: str) -> str:
    """Make `version`, or else the challenger, the champion of `name`, after it was signed as `sign` does.

    returns: the version; its tag `wattline.previous` names the champion before it
    """
    key = keys.load_private()
    with store.session() as client:
        chosen = _signed(client, name, version, key=key)
        former = _by_alias(client, name, CHAMPION)
        if former is None or former.version != chosen.version:
            client.set_model_version_tag(name, chosen.version, PREVIOUS, str(former.version) if former else "none")
            client.set_registered_model_alias(name, CHAMPION, chosen.version)
    return str(chosen.version)


def sign(version: str | None = None, *, name: str) -> str:
    """Sign `version`, or else the challenger, so that a server may try it beside the champion; no alias moves.

    Its files and verdicts are downloaded and checked again. One that was signed before carries today's key then.

    returns: the version
    Raises InputError without a signing key, RejectedError or IntegrityError when the version must not be served.
    """
    key = keys.load_private()
    with store.session() as client:
        return str(_signed(client, name, version, key=key).version)


def fetch_champion(destination: Path, *, name: str) -> Champion:
    """Replace `destination` by the champion's files, its statement and champion.json, in one step.

    A `.gitignore` in it stays. The signature is verified by who serves the files. Without a champion, champion.json
    with nulls is all that there is. When anything fails, nothing was changed.
    """
    if store.is_empty():
        return _place(destination, Champion())
    with store.session() as client:
        found = _by_alias(client, name, CHAMPION)
        if found is None:
            return _place(destination, Champion())
        with downloaded(client, found) as evidence:
            champion = Champion(version=str(found.version), digest=evidence.candidate.digest, name=name)
            statement = statements.fetch(client, found)
            return _place(destination, champion, source=evidence.folder / "candidate", statement=statement)


def _find(client: "MlflowClient", name: str, digest: str) -> str | None:
    """The oldest version of `name` with this digest."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{tracking.DIGEST}` = '{digest}'")
    return min((str(one.version) for one in found), key=int, default=None)


def _create(client: "MlflowClient", name: str, evidence: Evidence) -> str:
    """Upload everything, then create the version that points to it."""
    candidate = evidence.candidate
    known = _own_runs(client, name, candidate)
    run = known[0] if known else tracking.start_run(client, candidate)
    client.log_artifacts(run.info.run_id, str(evidence.folder))
    if not known:
        client.set_terminated(run.info.run_id)
    _ensure_model(client, name)
    source = f"{run.info.artifact_uri}/candidate"
    created = client.create_model_version(name, source, run.info.run_id, tags=_tags(evidence))
    # The lock binds one machine. Two that register at once see each other here, and the later version gives way.
    version = _find(client, name, candidate.digest) or str(created.version)
    if version != str(created.version):
        client.delete_model_version(name, str(created.version))
    return version


def _own_runs(client: "MlflowClient", name: str, candidate: Candidate) -> list["Run"]:
    """Runs of `candidate` that hold no version of another model: its reports and statements would be overwritten."""
    return [
        run
        for run in tracking.runs(client, candidate)
        if all(one.name == name for one in client.search_model_versions(f"run_id = '{run.info.run_id}'"))
    ]


def _signed(client: "MlflowClient", name: str, version: str | None, *, key: keys.PrivateKey) -> "ModelVersion":
    chosen = _version(client, name, version)
    with downloaded(client, chosen) as evidence:
        check_accepted(chosen, evidence)
        statements.attach(client, chosen, evidence, key=key)
    return chosen


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _tags(evidence: Evidence) -> dict[str, str]:
    """What a reader of the registry wants to know without opening a file."""
    cost = evidence.measurement
    tags = tracking.origin(evidence.candidate) | {
        DECISION: ACCEPTED,
        "wattline.energy_per_1000": energy_text(cost.candidate.energy_per_1000),
        "wattline.latency_p99_ms": f"{cost.candidate.latency_p99_ms:.4g}",
    }
    changed = dirty()
    if changed is not None:
        tags[statements.DIRTY] = str(changed).lower()
    if cost.training_energy is not None:
        tags["wattline.training_energy"] = energy_text(cost.training_energy)
    for metric, score in evidence.evaluation.contenders["candidate"].items():
        tags[f"wattline.metric.{metric}"] = f"{score} over {score.units} units"
    return tags


def _version(client: "MlflowClient", name: str, version: str | None) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    if version is None:
        challenger = _by_alias(client, name, CHALLENGER)
        if challenger is None:
            raise InputError(f"{name} has no challenger; run `wattline register` first")
        return challenger
    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if store.is_absent(error) or not version.isdecimal():
            raise InputError(f"{name} has no version {version!r}; run `wattline register` first") from None
        raise


def _by_alias(client: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if store.is_absent(error):
            return None
        raise


def _place(
    destination: Path, champion: Champion, *, source: Path | None = None, statement: bytes | None = None
) -> Champion:
    ignored = destination / ".gitignore"
    with files.replace_directory(destination) as fresh:
        if source is not None:
            shutil.copytree(source, fresh, dirs_exist_ok=True)
        if statement is not None:
            files.write_bytes(fresh / signing.FILE, statement)
        if ignored.exists():
            shutil.copyfile(ignored, fresh / ".gitignore")
        files.write_text(fresh / "champion.json", champion.to_json())
    return champion
