"""The nouns that stages hand to each other: frozen, typed, JSON in and JSON out."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

Provenance = Literal["measured", "estimated", "computed"]

# JSON has no NaN: an undefined figure (a score of a unit without anomalies, say) is null in a file and NaN in memory.
Figure = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: value if math.isfinite(value) else None, when_used="json"),
]


class Record(BaseModel):
    """A frozen value object. Unknown fields are refused, so that a renamed one cannot be lost silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> str:
        """Render with fixed field order, two-space indentation and a final newline: equal records, equal bytes."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse `text`. Raises pydantic.ValidationError on anything but this record."""
        return cls.model_validate_json(text)


class Column(Record):
    """One column of telemetry.

    unit: SI or customary unit of its values ("W", "degC", "%", "1" for a ratio or a count)
    """

    name: str = Field(min_length=1)
    unit: str
    description: str = ""


class SourceFile(Record):
    """One file that rows came from.

    path: where it lies below its home
    origin: "mirror", "download", "generated" or "local"
    """

    path: str
    sha256: str
    size_bytes: int = Field(ge=0)
    origin: Literal["mirror", "download", "generated", "local"]


class UnitRows(Record):
    """One unit (a node, a machine, a service): how many rows, from when to when.

    group: what it shares a fate with (a rack); its own name where there is none
    test_start: first timestamp of the publisher's test part, where there is an official split
    sha256: digest of the unit's partition below `data/raw/`
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    group: str
    rows: int = Field(ge=1)
    start: datetime
    end: datetime
    test_start: datetime | None = None
    sha256: str = ""


class Dataset(Record):
    """What `ingest` wrote: identity, licence and content digests.

    cadence_seconds: nominal distance of two rows [s]
    labelled: whether rows carry the publisher's labels (0 normal, 1 anomalous)
    files: the source files with their digests, as found
    notes: what a reader should know (assigned timestamps, a checksum pinned at first download)
    """

    name: str
    source: str
    home: str
    licence: str = Field(min_length=1)
    citation: str = Field(min_length=1)
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...]
    units: tuple[UnitRows, ...]
    labelled: bool
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Content address: equal rows from the same source have the same id, wherever and whenever they were read."""
        content = [f"{unit.name}:{unit.sha256}" for unit in self.units]
        content += [f"{column.name}:{column.unit}" for column in self.columns]
        return hashlib.sha256("\n".join([self.name, *content]).encode()).hexdigest()

    @property
    def rows(self) -> int:
        return sum(unit.rows for unit in self.units)


class Part(Record):
    """Rows of one unit in one split. Rows are on the grid: those that were never recorded count, and hold NaN."""

    unit: str
    group: str
    split: Literal["train", "validation", "test"]
    rows: int = Field(ge=1)
    start: datetime
    end: datetime


class Manifest(Record):
    """What `prepare` wrote.

    data: id of the dataset it was made from
    files: path below `data/prepared/` -> SHA-256
    """

    data: str
    dataset: str
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    files: Mapping[str, str]

    def units(self) -> dict[str, str]:
        """Unit name -> group, in the order of the data."""
        return {part.unit: part.group for part in self.parts}


class Metric(Record):
    """How an answer is judged, and which way is up."""

    name: str
    unit: str
    higher_is_better: bool
    description: str


class Description(Record):
    """What a task is, for its model card. Every field is required there.

    name: what the task, its block in params.yaml, its model and its card are called
    metrics: the first one is the headline: gates and comparisons use it
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    purpose: str
    intended_use: str
    out_of_scope: str
    limits: str
    output: str
    output_unit: str
    metrics: tuple[Metric, ...] = Field(min_length=1)

    @property
    def headline(self) -> Metric:
        return self.metrics[0]


class Score(Record):
    """One metric over units, with its 95 % bootstrap interval.

    units: how many units have a defined value
    """

    value: Figure
    low: Figure
    high: Figure
    units: int = Field(ge=0)

    def __str__(self) -> str:
        if not self.units:
            return "undefined"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class Tensor(Record):
    """One input or output of the graph. A string in `shape` names a free dimension."""

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[int | str, ...]
    unit: str
    description: str


class Signature(Record):
    """All that a caller of the graph must know.

    columns: order of the last axis of `window`, in the units that the graph expects
    units: order of unit names; a unit's index is its place here, any other index means "unknown"
    steps: rows of history that one answer needs
    """

    task: str
    steps: int = Field(ge=1)
    cadence_seconds: float = Field(gt=0)
    columns: tuple[Column, ...]
    units: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def index(self, unit: str) -> int:
        """Index of `unit` for the graph; -1 for one that was not trained on."""
        return self.units.index(unit) if unit in self.units else -1


class Candidate(Record):
    """A trained model, identified by its content.

    files: file name -> SHA-256, of everything that is deployed
    data: id of the dataset it was trained on
    params_sha256: digest of the params that training read
    parity_max_abs: largest |trained model - exported graph| over `parity_windows` raw windows
    """

    task: str
    model: str
    files: Mapping[str, str]
    data: str
    dataset: str
    params_sha256: str
    parameters: int = Field(ge=0)
    parity_max_abs: float = Field(ge=0)
    parity_windows: int = Field(ge=1)

    @property
    def digest(self) -> str:
        """SHA-256 over names and digests of the deployed files."""
        lines = [f"{name} {digest}" for name, digest in sorted(self.files.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Champion(Record):
    """What `wattline champion` fetched. No version: nothing was promoted yet, and that is what was found out.

    name: of the registered model
    """

    version: str | None = None
    digest: str | None = None
    name: str | None = Field(default=None, exclude_if=lambda name: name is None)


class Finding(Record):
    """One expectation that rows did not meet.

    first_rows: the first offending values, as "unit @ timestamp: value"
    """

    rule: str
    column: str
    severity: Literal["critical", "warning"]
    count: int = Field(ge=0)
    share: float = Field(ge=0, le=1)
    first_rows: tuple[str, ...] = ()


class Validation(Record):
    """Outcome of `validate`."""

    data: str
    rows: int
    units: int
    expectations: int
    findings: tuple[Finding, ...] = ()

    def failures(self, severity: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)


class Slice(Record):
    """Scores of one part of the test rows.

    kind: "unit" or "group"
    scores: metric name -> value (NaN where undefined, for example without an anomaly)
    """

    kind: Literal["unit", "group"]
    name: str
    rows: int
    scores: Mapping[str, Figure]


def worst_first(slices: Iterable[Slice], metric: Metric) -> list[Slice]:
    """The slices in which `metric` is defined, the worst one first."""
    defined = [part for part in slices if math.isfinite(part.scores[metric.name])]
    return sorted(defined, key=lambda part: part.scores[metric.name], reverse=not metric.higher_is_better)


class Evaluation(Record):
    """Outcome of `evaluate`: every contender on the same rows.

    rows_sha256: digest of unit names, timestamps and targets that were scored
    contenders: "candidate", "champion" where there is one, and baselines -> metric -> Score
    versus_champion: paired difference candidate - champion by metric; empty without a champion
    robustness: perturbation -> headline metric of the candidate
    """

    candidate: str
    champion: Champion
    data: str
    rows: int
    rows_sha256: str
    headline: Metric
    contenders: Mapping[str, Mapping[str, Score]]
    versus_champion: Mapping[str, Score] = {}
    slices: tuple[Slice, ...] = ()
    robustness: Mapping[str, Score] = {}


class Energy(Record):
    """Energy of one activity.

    joules: total energy within `boundary` [J]
    interval: 95 % confidence interval of `joules` [J]
    provenance: "measured" (a hardware counter) or "estimated" (a model of one)
    sensor: what was read, e.g. "rapl:package-0" or "CPU time x 12.5 W/core"
    boundary: what is included
    seconds: how long the activity took [s]
    """

    joules: float = Field(ge=0)
    interval: tuple[float, float]
    provenance: Literal["measured", "estimated"]
    sensor: str
    boundary: str
    seconds: float = Field(ge=0)

    def scaled(self, factor: float) -> "Energy":
        """The same measurement expressed for `factor` times the work."""
        low, high = self.interval
        return self.model_copy(
            update={
                "joules": self.joules * factor,
                "interval": (low * factor, high * factor),
                "seconds": self.seconds * factor,
            }
        )


class Performance(Record):
    """What one contender costs to run.

    latency_p50_ms, latency_p99_ms: one window, one thread [ms]
    throughput_per_second: windows per second in batches of `batch`
    energy_per_1000: energy of 1,000 predictions in batches of `batch`
    """

    digest: str
    latency_p50_ms: float = Field(ge=0)
    latency_p99_ms: float = Field(ge=0)
    throughput_per_second: float = Field(ge=0)
    batch: int = Field(ge=1)
    energy_per_1000: Energy


class Measurement(Record):
    """Outcome of `measure`, candidate and champion interleaved on one machine."""

    candidate: Performance
    champion: Performance | None = None
    machine: str
    training_energy: Energy | None = None


class Check(Record):
    """One comparison of bytes with their record."""

    name: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        return self.expected == self.found and bool(self.expected)


class Verdict(Record):
    """The answer of one gate.

    value, limit: the figure that decided and what it was held against, in `unit`
    refused: the evidence does not allow an answer; a refusal never passes
    evidence: the reports it rests on
    provenance: whether `value` was measured, estimated or computed
    """

    name: str
    passed: bool
    value: Figure
    limit: Figure
    reason: str
    unit: str = "1"
    refused: bool = False
    evidence: tuple[str, ...] = ()
    provenance: Provenance = "computed"

    @property
    def outcome(self) -> Literal["PASS", "FAIL", "REFUSE"]:
        if self.refused:
            return "REFUSE"
        return "PASS" if self.passed else "FAIL"


class Decision(Record):
    """All verdicts on one candidate.

    advisory: gates whose failure is reported but does not reject
    """

    candidate: str
    data: str
    verdicts: tuple[Verdict, ...]
    advisory: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """True when there is a verdict and every one that counts passed and refused nothing."""
        counting = [verdict for verdict in self.verdicts if verdict.name not in self.advisory]
        return bool(counting) and all(verdict.passed and not verdict.refused for verdict in counting)
