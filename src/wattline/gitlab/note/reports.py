"""The reports of one side, read from a folder or from a commit: what cannot be read is named, never guessed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, ValidationError

from wattline import files
from wattline.records import Decision, Evaluation, Measurement, Record, TrainingEnergy, Validation

AnyRecord = TypeVar("AnyRecord", bound=Record)
Reader = Callable[[str], bytes | None]
"""Gives the bytes of a file by its path in the repository; None where it is not there."""
STAGES = ("ingest", "validate", "train", "train_energy", "evaluate", "measure", "decide", "card")
"""Whose reports a decision rests on, in the order in which they are written."""


class Ingested(Record):
    """What the note tells of reports/ingest.json.

    data: id of the dataset; span_days: from its first row to its last one [d]
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    data: str
    dataset: str
    units: int
    rows: int
    span_days: float


class Trained(Record):
    """What the note tells of reports/train.json.

    parameters: how many numbers were learnt
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    candidate: str
    model: str
    parameters: int


@dataclass(frozen=True)
class Reports:
    """The reports of one side.

    absent: stages without a report; unreadable: stage -> why its report is none
    """

    ingested: Ingested | None = None
    validation: Validation | None = None
    trained: Trained | None = None
    training: TrainingEnergy | None = None
    evaluation: Evaluation | None = None
    measurement: Measurement | None = None
    decision: Decision | None = None
    absent: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether there is any report at all, be it readable or not."""
        return len(self.absent) < len(STAGES)

    def foreign(self) -> list[str]:
        """Stages whose report is about another candidate than the decision."""
        if self.decision is None:
            return []
        subjects = {
            "train": self.trained and self.trained.candidate,
            "evaluate": self.evaluation and self.evaluation.candidate,
            "measure": self.measurement and self.measurement.candidate.digest,
        }
        return [stage for stage, subject in subjects.items() if subject and subject != self.decision.candidate]


def read(reader: Reader, *, without: frozenset[str] = frozenset()) -> Reports:
    """All reports that `reader` gives.

    without: stages whose reports count as absent, since they are left over from an earlier run
    """
    contents = {stage: None if stage in without else reader(str(files.report_path(stage))) for stage in STAGES}
    unreadable: dict[str, str] = {}

    def record(stage: str, kind: type[AnyRecord]) -> AnyRecord | None:
        content = contents[stage]
        if content is None:
            return None
        try:
            return kind.from_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            unreadable[stage] = f"{'.'.join(str(part) for part in first['loc']) or 'file'}: {first['msg']}"
            return None

    return Reports(
        ingested=record("ingest", Ingested),
        validation=record("validate", Validation),
        trained=record("train", Trained),
        training=record("train_energy", TrainingEnergy),
        evaluation=record("evaluate", Evaluation),
        measurement=record("measure", Measurement),
        decision=record("decide", Decision),
        absent=tuple(stage for stage, content in contents.items() if content is None),
        unreadable=unreadable,
    )


def from_tree(path: str) -> bytes | None:
    """A reader of the folder we are in."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
