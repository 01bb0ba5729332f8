"""What trials and a sweep found out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from wattline.records import Energy, Record
from wattline.records.base import Figure

State = Literal["COMPLETE", "PRUNED", "FAIL"]


class Trial(Record):
    """One trial.

    slot: its place among the trials of the sweep; 0 has the values as they were in params.yaml
    number: of this attempt, in the storage
    state: COMPLETE, PRUNED (given up because others did better at the same share of their work) or FAIL
    values: of the options that are varied, by dotted key
    objective: what it came to; of a pruned one the best figure that it reported; None of one that failed
    curves: one mapping for each epoch; of a pruned one as far as it got
    reason: why it failed, or has no energy, in one sentence
    worker: who ran it
    attempts: how often it began
    energy: what its training took, attempts that were lost included
    started_ms, ended_ms: milliseconds since 1970-01-01 UTC, by the clock of its node
    """

    study: str
    slot: int = Field(ge=0)
    number: int = Field(ge=0)
    state: State
    values: Mapping[str, Any]
    objective: float | None = None
    curves: tuple[Mapping[str, Figure], ...] = ()
    reason: str = ""
    worker: str
    attempts: int = Field(ge=1)
    energy: Energy | None = None
    started_ms: int = Field(ge=0)
    ended_ms: int = Field(ge=0)

    @property
    def seconds(self) -> float:
        """How long the attempt that counts took [s]."""
        return max(0.0, (self.ended_ms - self.started_ms) / 1000)


class Best(Record):
    """The trial with the best objective, and whether it may be said to beat the default.

    beats_default: whether it is another trial than the first one, and its objective is better
    """

    slot: int
    values: Mapping[str, Any]
    objective: float
    default_objective: float | None
    beats_default: bool
    reason: str


class Sweep(Record):
    """Outcome of `wattline sweep`.

    objective, unit: by which trials are compared, and its unit
    part: of the rows on which it was computed; never the test part
    sampler, pruner: who drew the values, and when a trial was given up
    reproducible: whether the same sweep gives the same trials again, and if not, why
    best: None where no trial was completed
    energy: of all trials together, lost attempts included; None where not all of it is known
    """

    study: str
    task: str
    objective: str
    unit: str
    higher_is_better: bool
    part: Literal["validation"] = "validation"
    seed: int
    data: str
    prepared_sha256: str
    code_sha256: str
    sampler: str
    pruner: str
    reproducible: str
    trials: tuple[Trial, ...]
    best: Best | None
    energy: Energy | None = None
    energy_note: str = ""


def path_of(folder: Path, number: int) -> Path:
    """Where what came out of one attempt lies, in the folder of its study."""
    return folder / "trials" / f"{number:06}.json"
