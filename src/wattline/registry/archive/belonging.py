"""Whether the parts of an archive are about one and the same version: the same questions at both sites."""

from pathlib import Path

from wattline import files
from wattline.records import Dataset, Manifest
from wattline.registry.archive import contents, layout
from wattline.registry.archive.faults import UnfitError, unfit
from wattline.registry.archive.manifest import ArchiveManifest
from wattline.registry.evidence import Evidence, check_bytes, check_kinds, read
from wattline.signing.statement import Statement


def check(folder: Path, manifest: ArchiveManifest, statement: Statement) -> Evidence:
    """The records of the version whose files lie in `folder`. Raises UnfitError naming what is about something else.

    The digests of the manifest hold for the files already.
    """
    for name in sorted(manifest.files.keys() - {layout.STATEMENT, layout.HISTORY}):
        contents.check(folder, name)
    with unfit(folder):
        check_kinds(folder / "candidate")
        evidence = read(folder)
        check_bytes(folder / "candidate", evidence.candidate)
    _check_candidate(evidence, manifest)
    _check_data(folder, evidence)
    _check_statement(statement, evidence, manifest)
    return evidence


def _check_candidate(evidence: Evidence, manifest: ArchiveManifest) -> None:
    candidate = evidence.candidate
    if (candidate.digest, candidate.data) != (manifest.candidate, manifest.data):
        raise UnfitError(f"it holds candidate {candidate.digest[:12]}, the manifest is about {manifest.candidate[:12]}")
    for stage, found in evidence.subjects.items():
        if found != candidate.digest:
            raise UnfitError(f"reports/{stage}.json is about candidate {found[:12]}, it holds {candidate.digest[:12]}")


def _check_data(folder: Path, evidence: Evidence) -> None:
    """What lies there of the data is its description, so that must be of the data that the model was trained on."""
    wanted = evidence.candidate.data
    with unfit(folder):
        dataset = files.read_record(folder / layout.DATASET, Dataset)
        splits = files.read_record(folder / layout.SPLITS, Manifest)
    found = {layout.DATASET: dataset.id, layout.SPLITS: splits.data}
    found |= {f"reports/{stage}.json": data for stage, data in evidence.data.items()}
    for name, data in found.items():
        if data != wanted:
            raise UnfitError(f"{name} is about data {data[:12]}, the candidate was trained on {wanted[:12]}")


def _check_statement(statement: Statement, evidence: Evidence, manifest: ArchiveManifest) -> None:
    said = statement.predicate
    if (said.name, said.version) != (manifest.name, manifest.version):
        raise UnfitError(
            f"its statement is about version {said.version} of {layout.shown(said.name)}, "
            f"the manifest about version {manifest.version} of {manifest.name}"
        )
    if statement.candidate != evidence.candidate:
        raise UnfitError(f"its statement is about candidate {said.digest[:12]}, it holds {manifest.candidate[:12]}")
    present = {name: one.sha256 for name, one in manifest.files.items() if name.startswith(("reports/", "cards/"))}
    for name in sorted(present.keys() | said.evidence.keys()):
        if present.get(name) != said.evidence.get(name):
            raise UnfitError(f"{layout.shown(name)} is not what its statement says")
