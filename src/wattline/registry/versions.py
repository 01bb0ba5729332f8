"""Versions of the model: registered once, promoted after another check, fetched as files."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.records import Candidate, Champion, Decision
from wattline.registry import store, tracking
from wattline.registry.evidence import RECORD, Evidence, check_bytes, check_kinds, energy_text, gather

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
CHAMPION = "champion"
DECISION = "wattline.decision"
PREVIOUS = "wattline.previous"
ACCEPTED = "accepted"


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
    """Make `version`, or else the challenger, the champion of `name`, after downloading and checking its files again.

    returns: the version; its tag `wattline.previous` names the champion before it
    """
    with store.session() as client:
        chosen = _version(client, name, version)
        with _downloaded(client, chosen) as folder:
            _check_decision(chosen, folder)
        former = _by_alias(client, name, CHAMPION)
        if former is None or former.version != chosen.version:
            client.set_model_version_tag(name, chosen.version, PREVIOUS, str(former.version) if former else "none")
            client.set_registered_model_alias(name, CHAMPION, chosen.version)
    return str(chosen.version)


def fetch_champion(destination: Path, *, name: str) -> Champion:
    """Replace `destination` by the champion's files and champion.json, in one step; a `.gitignore` in it stays.

    Without a champion, champion.json with nulls is all that there is. When anything fails, nothing was changed.
    """
    if store.is_empty():
        return _place(destination, Champion())
    with store.session() as client:
        found = _by_alias(client, name, CHAMPION)
        if found is None:
            return _place(destination, Champion())
        with _downloaded(client, found) as folder:
            champion = Champion(version=str(found.version), digest=found.tags[tracking.DIGEST])
            return _place(destination, champion, folder / "candidate")


def _find(client: "MlflowClient", name: str, digest: str) -> str | None:
    """The oldest version of `name` with this digest."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{tracking.DIGEST}` = '{digest}'")
    return min((str(one.version) for one in found), key=int, default=None)


def _create(client: "MlflowClient", name: str, evidence: Evidence) -> str:
    """Upload everything, then create the version that points to it."""
    candidate = evidence.candidate
    known = tracking.runs(client, candidate)
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


@contextmanager
def _downloaded(client: "MlflowClient", version: "ModelVersion") -> Iterator[Path]:
    """A version's candidate/ and reports/ in a folder that vanishes. Raises IntegrityError unless all bytes fit."""
    digest = version.tags.get(tracking.DIGEST, "")
    with TemporaryDirectory(prefix="wattline-") as temporary:
        folder = Path(temporary)
        for part in ("candidate", "reports"):
            client.download_artifacts(version.run_id, part, temporary)
        for wanted in (folder / "candidate" / RECORD, folder / "reports" / "decide.json"):
            if not wanted.is_file():
                raise IntegrityError(
                    f"version {version.version} of {version.name} holds no {wanted.name}; register the candidate again"
                )
        check_kinds(folder / "candidate")
        candidate = files.read_record(folder / "candidate" / RECORD, Candidate)
        check_bytes(folder / "candidate", candidate)
        if candidate.digest != digest:
            raise IntegrityError(
                f"version {version.version} of {version.name} holds candidate {candidate.digest[:12]}, its tag says "
                f"{digest[:12] or 'nothing'}; register the candidate again"
            )
        yield folder


def _check_decision(version: "ModelVersion", folder: Path) -> None:
    decision = files.read_record(folder / "reports" / "decide.json", Decision)
    if version.tags.get(DECISION) != ACCEPTED or not decision.accepted:
        raise RejectedError(f"version {version.version} of {version.name} was not accepted; it cannot be promoted")
    if decision.candidate != version.tags[tracking.DIGEST]:
        raise IntegrityError(
            f"the decision of version {version.version} of {version.name} is about candidate "
            f"{decision.candidate[:12]}; register the candidate again"
        )


def _place(destination: Path, champion: Champion, source: Path | None = None) -> Champion:
    ignored = destination / ".gitignore"
    with files.replace_directory(destination) as fresh:
        if source is not None:
            shutil.copytree(source, fresh, dirs_exist_ok=True)
        if ignored.exists():
            shutil.copyfile(ignored, fresh / ".gitignore")
        files.write_text(fresh / "champion.json", champion.to_json())
    return champion
