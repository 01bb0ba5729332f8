"""What goes into the registry with a candidate, taken at one moment and checked before anything is sent."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from wattline import environment, files, recorded, splits
from wattline.errors import InputError, IntegrityError, RejectedError
from wattline.records import Candidate, Decision, Emissions, Energy, Evaluation, Measurement, TrainingEnergy, Verdict
from wattline.records.energy import JOULES_PER_KWH
from wattline.registry import contents, lineage

RECORD = "candidate.json"
ENVIRONMENT = "environment.json"
SECRET = re.compile(
    r"://[^/\s:@]+:[^\s@]+@|PRIVATE KEY-----|\bgl(?:pat|rt|dt|ptt|cbt|ft)-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b"
)
"""What must not leave with params.yaml or dvc.lock: passwords in addresses, private keys, tokens of GitLab and AWS."""
STAGES = ("decide", "evaluate", "measure")
CHECKED = ("candidate", "reports", "cards")
"""Folders whose files are told by their content; provenance/ holds what other programs write."""
WRITTEN = ("dvc.lock", "reports", "model_cards")
"""What the pipeline writes into the working tree: it changes with each run and is no source."""


@dataclass(frozen=True)
class Evidence:
    """A private copy of everything about one candidate.

    folder: holds candidate/, reports/, cards/ and provenance/
    overridden: gate that said no -> why a person took the candidate nevertheless
    """

    folder: Path
    candidate: Candidate
    decision: Decision
    evaluation: Evaluation
    measurement: Measurement
    overridden: Mapping[str, str] = field(default_factory=dict)

    @property
    def launches(self) -> int | None:
        """How often its training was begun; None where the report is of an earlier version of Wattline, or absent."""
        try:
            return files.read_record(self.folder / "reports" / "train_energy.json", TrainingEnergy).launches
        except InputError:
            return None

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
def gather(*, overrides: Mapping[str, str] | None = None, allow_dirty: bool = False) -> Iterator[Evidence]:
    """Copy candidate, reports and card, check the copy and give it; it vanishes afterwards.

    overrides: gate -> why its answer is set aside
    allow_dirty: whether sources may differ from the commit, or there may be none
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
        _check_data(evidence.candidate)
        lineage.check()
        evidence = replace(evidence, overridden=check_verdicts(evidence.decision, overrides or {}))
        if not allow_dirty:
            _check_tree()
        _write_provenance(folder / "provenance")
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
    for part in CHECKED:
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
    command = ["git", "status", "--porcelain", "--untracked-files=normal", "--", ".", *outputs]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return bool(found.stdout) if found.returncode == 0 else None


def energy_text(energy: Energy) -> str:
    """An energy with its interval and where it comes from."""
    low, high = energy.interval
    return f"{energy.joules:.4g} J [{low:.4g}, {high:.4g}] {energy.provenance}: {energy.sensor}"


def kwh_text(energy: Energy) -> str:
    """The same in kWh."""
    low, high = (bound / JOULES_PER_KWH for bound in energy.interval)
    return f"{energy.kwh:.4g} kWh [{low:.4g}, {high:.4g}] {energy.provenance}: {energy.sensor}"


def emissions_text(found: Emissions) -> str:
    """Grams with the energy, the factor, its date and its source."""
    grid, made = found.grid, f" + {found.embodied_grams:.4g} g embodied" if found.embodied_grams else ""
    return (
        f"{found.total_grams:.4g} gCO2e = {found.kwh:.4g} kWh ({found.provenance}) x {grid.grams_per_kwh:g} gCO2e/kWh "
        f"({grid.source}, as of {grid.as_of}){made}"
    )


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


def check_verdicts(decision: Decision, overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that were needed: gate -> why.

    Raises RejectedError naming every gate that said no and is not overridden, InputError for one that does not exist.
    """
    known = {verdict.name for verdict in decision.verdicts}
    for gate in overrides:
        if gate not in known:
            raise InputError(f"there is no verdict of a gate {gate!r} to override; gates: {', '.join(sorted(known))}")
    failed = refusals(decision)
    counting = [verdict for verdict in failed if verdict.name not in overrides]
    if counting or not decision.verdicts:
        reasons = ", ".join(f"{verdict.name} ({verdict.reason})" for verdict in counting)
        raise RejectedError(f"candidate {decision.candidate[:12]} was rejected by {reasons or 'default'}")
    return {verdict.name: overrides[verdict.name] for verdict in failed}


def refusals(decision: Decision) -> list[Verdict]:
    """Verdicts that count and did not pass."""
    return [
        verdict for verdict in decision.verdicts if verdict.name not in decision.advisory and verdict.outcome != "PASS"
    ]


def _check_data(candidate: Candidate) -> None:
    """Raise unless the rows that the candidate was made from lie here, byte by byte as they were recorded."""
    dataset, manifest = splits.read_dataset(), splits.read_manifest()
    for check in (recorded.raw(dataset), recorded.prepared(manifest)):
        if not check.holds:
            found = f"has SHA-256 {check.found[:12]}" if check.found else "is missing or has no record"
            raise IntegrityError(f"{check.name} {found}, so the data cannot be verified; run `dvc pull` or `dvc repro`")
    for name, found in ((files.RAW / splits.DATASET, dataset.id), (files.PREPARED / splits.MANIFEST, manifest.data)):
        if found != candidate.data:
            raise IntegrityError(
                f"{name} is about data {found[:12]}, the candidate was made from {candidate.data[:12]}; run `dvc repro`"
            )


def _check_tree() -> None:
    changed = dirty()
    if changed is False:
        return
    what = "differ from the commit" if changed else "are in no git repository"
    raise InputError(
        f"sources {what}, so that nobody could make this candidate again; commit them and run `dvc repro`, or give "
        "--allow-dirty, which is recorded"
    )


def _write_provenance(folder: Path) -> None:
    """What the candidate was made from and with."""
    records = (files.RAW / splits.DATASET, files.PREPARED / splits.MANIFEST, files.DATASET_CARD)
    sources = (*records, Path("dvc.lock"), Path("params.yaml"))
    _copy((path for path in sources if path.is_file()), folder)
    for path in sorted(folder.iterdir()):
        text = path.read_text()
        found = SECRET.search(text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(
                f"line {line} of {path.name} holds what looks like a secret; keep it in a variable instead"
            )
    files.write_text(folder / ENVIRONMENT, environment.current().to_json())
