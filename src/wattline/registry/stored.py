"""What a version holds in the store, downloaded to a folder that vanishes and checked like new."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.registry import tracking
from wattline.registry.artifacts import Artifacts
from wattline.registry.evidence import (
    CHECKED,
    RECORD,
    STAGES,
    Evidence,
    check_bytes,
    check_contents,
    check_kinds,
    read,
    refusals,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

DECISION = "wattline.decision"
ACCEPTED = "accepted"
OVERRIDDEN = "overridden"
PARTS = (*CHECKED, "provenance")


@contextmanager
def downloaded(version: "ModelVersion") -> Iterator[Evidence]:
    """A version's candidate, reports and cards. Raises IntegrityError unless all bytes of the candidate fit."""
    with TemporaryDirectory(prefix="wattline-") as temporary:
        folder = Path(temporary)
        _download(version, folder)
        for wanted in (f"candidate/{RECORD}", *(f"reports/{stage}.json" for stage in STAGES)):
            if not (folder / wanted).is_file():
                raise _wrong(version, f"holds no {wanted}")
        yield _checked(version, folder)


def _checked(version: "ModelVersion", folder: Path) -> Evidence:
    """The records in `folder`, once all bytes fit. Raises IntegrityError naming the version and what does not."""
    try:
        check_kinds(folder / "candidate")
        evidence = read(folder)
        check_bytes(folder / "candidate", evidence.candidate)
        check_contents(folder)
    except (InputError, IntegrityError) as error:
        # What to do about it is said for a candidate in the working tree.
        reason = str(error).rpartition("; ")[0].replace(str(folder) + "/", "") or str(error)
        raise _wrong(version, f"is damaged: {reason}") from None
    digest = version.tags.get(tracking.DIGEST, "")
    if evidence.candidate.digest != digest:
        found, said = evidence.candidate.digest[:12], digest[:12] or "nothing"
        raise _wrong(version, f"holds candidate {found}, its tag says {said}")
    return evidence


def check_accepted(version: "ModelVersion", evidence: Evidence, *, overridden: Collection[str] = ()) -> None:
    """Raise RejectedError unless every gate said yes, IntegrityError when a report is about something else.

    overridden: gates whose answer a person has set aside, as the audit log says
    """
    refused = [verdict.name for verdict in refusals(evidence.decision) if verdict.name not in overridden]
    said = version.tags.get(DECISION)
    if said != answer(evidence) or refused or not evidence.decision.verdicts:
        gates = f" ({', '.join(refused)})" if refused else ""
        raise RejectedError(
            f"version {version.version} of {version.name} was not accepted{gates}; it cannot be promoted"
        )
    for stage, found in evidence.subjects.items():
        if found != evidence.candidate.digest:
            raise _wrong(version, f"holds a reports/{stage}.json about candidate {found[:12]}")
    for stage, found in evidence.data.items():
        if found != evidence.candidate.data:
            raise _wrong(version, f"holds a reports/{stage}.json that rests on data {found[:12]}")


def answer(evidence: Evidence) -> str:
    """What the tag of a version says of its verdicts. The champion gate may be set aside later and was still passed."""
    return OVERRIDDEN if refusals(evidence.decision) else ACCEPTED


def _download(version: "ModelVersion", folder: Path) -> None:
    from mlflow.exceptions import MlflowException

    artifacts = Artifacts(version)
    for part in PARTS:
        try:
            artifacts.download(folder, part)
        except (OSError, MlflowException):
            # MLflow has one code for what is absent and for what could not be written here.
            if artifacts.has(part):
                raise
            raise _wrong(version, f"holds no {part}/") from None


def _wrong(version: "ModelVersion", what: str) -> IntegrityError:
    return IntegrityError(f"version {version.version} of {version.name} {what}; register the candidate again")
