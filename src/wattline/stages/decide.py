"""decide: hold the evidence against the limits, and say yes or no. A rejection is a result, not an error."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from wattline import charts, files, recorded, splits
from wattline.energy import pareto
from wattline.errors import InputError
from wattline.gates import Evidence, judge
from wattline.gates.energy import judged as judged_energy
from wattline.params import DecideParams, GatesParams, MeasureParams, SessionParams
from wattline.records import (
    Candidate,
    Champion,
    Check,
    Dataset,
    Decision,
    Earlier,
    EnergyFindings,
    Evaluation,
    Manifest,
    Measurement,
    Pareto,
    Record,
    Validation,
)

AnyRecord = TypeVar("AnyRecord", bound=Record)

DATASET = files.RAW / splits.DATASET
MANIFEST = files.PREPARED / splits.MANIFEST
CANDIDATE = files.CANDIDATE / "candidate.json"
CHAMPION_CANDIDATE = files.CHAMPION / "candidate.json"
CHAMPION = files.CHAMPION / "champion.json"
EARLIER = files.EARLIER / "versions.json"
"""Figures of earlier versions, as `wattline champion` wrote them. The candidate is set beside them; no gate asks."""


def run(*, gates: GatesParams, decide: DecideParams, measure: MeasureParams) -> None:
    """Write reports/decide.json: one verdict for each gate, and which of them are advice only; and what it shows.

    measure: how the energy test was planned
    """
    evidence = gather()
    decision = judged(evidence, gates, advisory=decide.advisory, session=measure.session)
    with files.replace_directory(files.REPORTS / "decide") as folder:
        if decision.energy is not None and decision.energy.pareto is not None:
            files.write_bytes(folder / "pareto.png", draw(decision.energy.pareto))
    files.write_report("decide", decision)


def judged(evidence: Evidence, limits: GatesParams, *, advisory: tuple[str, ...], session: SessionParams) -> Decision:
    """The decision that `evidence` leads to."""
    return Decision(
        candidate=evidence.candidate.digest if evidence.candidate is not None else "",
        data=evidence.dataset.id if evidence.dataset is not None else "",
        verdicts=judge(evidence, limits, session=session),
        advisory=advisory,
        energy=findings(evidence, limits, session),
    )


def findings(evidence: Evidence, limits: GatesParams, session: SessionParams) -> EnergyFindings | None:
    """What the raw samples and earlier versions say of the candidate's energy; None where it was not measured."""
    measurement, evaluation = evidence.measurement, evidence.evaluation
    if measurement is None or evaluation is None:
        return None
    test = measurement.test
    return EnergyFindings(
        test=judged_energy(test, limits.energy, champion=limits.champion, session=session) if test else None,
        margin=limits.energy.margin,
        champion=evaluation.champion.version,
        pareto=pareto.pareto(evaluation, measurement, evidence.earlier),
    )


def draw(found: Pareto) -> bytes:
    """The picture of the candidate beside all others."""
    front = pareto.front(found.points, found.headline)
    return charts.pareto(found.points, front, found.headline, title=f"Candidate: {pareto.sentence(found)}")


def gather() -> Evidence:
    """Read all reports and compare all bytes. What is absent or unreadable is None, and its gate says so."""
    dataset = _read(DATASET, Dataset)
    candidate = _read(CANDIDATE, Candidate)
    validation = _read(files.report_path("validate"), Validation)
    evaluation = _read(files.report_path("evaluate"), Evaluation)
    measurement = _read(files.report_path("measure"), Measurement)
    manifest = _read(MANIFEST, Manifest)
    checks = [
        *_bytes(dataset, manifest, candidate),
        *_origins(dataset, manifest, candidate, validation, evaluation),
        *_subjects(candidate, evaluation, measurement),
        *_champion(evaluation),
    ]
    return Evidence(dataset, candidate, validation, evaluation, measurement, checks, _read(EARLIER, Earlier))


def _read(path: Path, kind: type[AnyRecord]) -> AnyRecord | None:
    try:
        return files.read_record(path, kind)
    except (InputError, OSError):
        return None


def _bytes(dataset: Dataset | None, manifest: Manifest | None, candidate: Candidate | None) -> Iterator[Check]:
    """Raw rows, prepared rows and model files against the records that were written with them."""
    yield recorded.raw(dataset)
    yield recorded.prepared(manifest)
    yield recorded.compare(files.CANDIDATE, candidate.files if candidate is not None else {})


def _origins(
    dataset: Dataset | None,
    manifest: Manifest | None,
    candidate: Candidate | None,
    validation: Validation | None,
    evaluation: Evaluation | None,
) -> Iterator[Check]:
    """Everything was made from the raw rows that lie here."""
    expected = dataset.id if dataset is not None else ""
    for path, record in (
        (MANIFEST, manifest),
        (CANDIDATE, candidate),
        (files.report_path("validate"), validation),
        (files.report_path("evaluate"), evaluation),
    ):
        yield Check(name=f"dataset of {path}", expected=expected, found=record.data if record is not None else "")


def _subjects(
    candidate: Candidate | None, evaluation: Evaluation | None, measurement: Measurement | None
) -> Iterator[Check]:
    """The reports are about the candidate that lies here."""
    expected = candidate.digest if candidate is not None else ""
    evaluated = evaluation.candidate if evaluation is not None else ""
    measured = measurement.candidate.digest if measurement is not None else ""
    yield Check(name=f"candidate of {files.report_path('evaluate')}", expected=expected, found=evaluated)
    yield Check(name=f"candidate of {files.report_path('measure')}", expected=expected, found=measured)


def _champion(evaluation: Evaluation | None) -> Iterator[Check]:
    """The champion that was evaluated is the one that lies here, and its files are those that were promoted."""
    champion = _read(CHAMPION, Champion) if CHAMPION.exists() else Champion()
    yield Check(
        name=f"champion of {files.report_path('evaluate')}",
        expected=_identity(champion),
        found=_identity(evaluation.champion if evaluation is not None else None),
    )
    if champion is not None and champion.version is not None:
        promoted = _read(CHAMPION_CANDIDATE, Candidate)
        found = promoted.digest if promoted is not None else ""
        yield Check(name=f"digest of {CHAMPION_CANDIDATE}", expected=champion.digest or "", found=found)
        yield recorded.compare(files.CHAMPION, promoted.files if promoted is not None else {})


def _identity(champion: Champion | None) -> str:
    """A champion in words, its digest first; empty where it is not known whether there is one."""
    if champion is None:
        return ""
    return "no champion" if champion == Champion() else f"{champion.digest} (version {champion.version})"
