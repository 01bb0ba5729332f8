"""What goes into the registry with a candidate, taken at one moment and checked before anything is sent."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wattline import files
from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.records import Candidate, Decision, Energy, Evaluation, Measurement
from wattline.registry import contents

RECORD = "candidate.json"
STAGES = ("decide", "evaluate", "measure")
PARTS = ("candidate", "reports", "cards")
WRITTEN = ("dvc.lock", "reports", "model_cards")
"""What the pipeline writes into the working tree: it changes with each run and is no source."""


@dataclass(frozen=True)
class Evidence:
    """A private copy of everything about one candidate.

    folder: holds candidate/, reports/ and cards/
    """

    folder: Path
    candidate: Candidate
    decision: Decision
    evaluation: Evaluation
    measurement: Measurement

    @property
    def subjects(self) -> dict[str, str]:
        """Stage -> digest of the candidate that its report is about."""
        return {
            "decide": self.decision.candidate,
            "evaluate": self.evaluation.candidate,
            "measure": self.measurement.candidate.digest,
        }

    @property
    def data(self) -> dict[str, str]:
        """Stage -> id of the dataset that its report rests on."""
        return {"decide": self.decision.data, "evaluate": self.evaluation.data}


@contextmanager
def gather() -> Iterator[Evidence]:
    """Copy candidate, reports and card, check the copy and give it; it vanishes afterwards.

    Raises RejectedError naming the gates that said no, IntegrityError when bytes or records do not belong together,
    InputError when something is missing or must not be published.
    """
    with TemporaryDirectory(prefix="wattline-") as temporary:
        folder = Path(temporary)
        if not (files.CANDIDATE / RECORD).is_file():
            raise InputError(f"{files.CANDIDATE / RECORD} is missing; run `dvc repro` to make it")
        contents.check_sources(files.CANDIDATE)
        # Without modes and times: DVC makes its files read-only, and what is read-only cannot be sent a second time.
        shutil.copytree(
            files.CANDIDATE, folder / "candidate", copy_function=shutil.copyfile, ignore_dangling_symlinks=True
        )
        check_kinds(folder / "candidate")
        _copy(files.REPORTS.glob("*.json"), folder / "reports")
        for stage in STAGES:
            if not (folder / "reports" / f"{stage}.json").is_file():
                raise InputError(f"{files.report_path(stage)} is missing; run `dvc repro` to make it")
        evidence = read(folder)
        _copy_card(folder / "cards", evidence.candidate.task)
        check_bytes(folder / "candidate", evidence.candidate)
        check_contents(folder)
        _check_belonging(evidence)
        _check_accepted(evidence.decision)
        yield evidence


def read(folder: Path) -> Evidence:
    """The records in `folder`, which holds candidate/ and reports/. Raises InputError when one cannot be read."""
    return Evidence(
        folder=folder,
        candidate=files.read_record(folder / "candidate" / RECORD, Candidate),
        decision=files.read_record(folder / "reports" / "decide.json", Decision),
        evaluation=files.read_record(folder / "reports" / "evaluate.json", Evaluation),
        measurement=files.read_record(folder / "reports" / "measure.json", Measurement),
    )


def check_kinds(folder: Path) -> None:
    """Raise InputError naming the first file that is of no kind which may be published: pickles never are.

    It looks at names and places; `check_contents` looks at what is in the files, once their digests fit.
    """
    contents.check_places(folder)


def check_contents(folder: Path) -> None:
    """Raise InputError naming the first file of candidate/, reports/ or cards/ that is not what its name says."""
    for part in PARTS:
        contents.check(folder / part)


def check_bytes(folder: Path, candidate: Candidate) -> None:
    """Raise IntegrityError naming the first file that is not what `candidate` says, is missing, or is one too many."""
    found = {name: digest for name, digest in files.digests(folder).items() if name != RECORD}
    for name in sorted(found.keys() | candidate.files.keys()):
        if found.get(name) == candidate.files.get(name):
            continue
        if name not in found:
            raise IntegrityError(f"{name} of candidate {candidate.digest[:12]} is missing; run `dvc repro`")
        if name not in candidate.files:
            raise IntegrityError(f"{name} is not recorded in {RECORD}; remove it or run `dvc repro`")
        raise IntegrityError(
            f"{name} has SHA-256 {found[name][:12]}, {RECORD} says {candidate.files[name][:12]}; "
            "run `dvc repro --force`"
        )


def dirty() -> bool | None:
    """Whether something but the pipeline's own outputs differs from the commit; None outside a repository."""
    outputs = [f":(exclude){path}" for path in WRITTEN]
    command = ["git", "status", "--porcelain", "--", ".", *outputs]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return bool(found.stdout) if found.returncode == 0 else None


def energy_text(energy: Energy) -> str:
    """An energy with its interval and where it comes from."""
    low, high = energy.interval
    return f"{energy.joules:.4g} J [{low:.4g}, {high:.4g}] {energy.provenance}: {energy.sensor}"


def _copy(paths: Iterator[Path], folder: Path) -> None:
    folder.mkdir()
    for path in paths:
        shutil.copyfile(path, folder / path.name)


def _copy_card(folder: Path, task: str) -> None:
    _copy(files.CARDS.glob(f"{task}.*"), folder)
    if not (folder / f"{task}.md").is_file():
        raise InputError(f"{files.CARDS / task}.md is missing; run `dvc repro` to make it")


def _check_belonging(evidence: Evidence) -> None:
    digest = evidence.candidate.digest
    for stage, found in evidence.subjects.items():
        if found != digest:
            raise IntegrityError(
                f"{files.report_path(stage)} is about candidate {found[:12]}, models/candidate is {digest[:12]}; "
                "run `dvc repro`"
            )
    for stage, found in evidence.data.items():
        if found != evidence.candidate.data:
            raise IntegrityError(
                f"{files.report_path(stage)} rests on data {found[:12]}, the candidate was trained "
                f"on {evidence.candidate.data[:12]}; run `dvc repro`"
            )


def _check_accepted(decision: Decision) -> None:
    if decision.accepted:
        return
    failed = [
        f"{verdict.name} ({verdict.reason})"
        for verdict in decision.verdicts
        if verdict.name not in decision.advisory and verdict.outcome != "PASS"
    ]
    raise RejectedError(f"candidate {decision.candidate[:12]} was rejected by {', '.join(failed) or 'default'}")
