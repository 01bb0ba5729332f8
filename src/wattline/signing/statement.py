"""What is said of a promoted model: an in-toto statement of its files, verdicts, scores and energy."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from wattline.records import (
    Candidate,
    Decision,
    Energy,
    Evaluation,
    Figure,
    Measurement,
    Metric,
    Provenance,
    Record,
    Score,
)

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:wattline:model:v1"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Digest(Record):
    """Digests of one file, by algorithm."""

    sha256: Sha256


class Subject(Record):
    """One deployed file. name: as in candidate.json"""

    name: str = Field(min_length=1)
    digest: Digest


class Judgement(Record):
    """The answer of one gate, without its evidence.

    value, limit: the figure that decided and what it was held against, in `unit`
    advisory: its failure does not reject
    """

    name: str
    outcome: Literal["PASS", "FAIL", "REFUSE"]
    value: Figure
    limit: Figure
    unit: str
    reason: str
    provenance: Provenance
    advisory: bool


class CardSummary(Record):
    """What the model card says in short; None where it does not say it."""

    purpose: str | None = None
    intended_use: str | None = None
    out_of_scope: str | None = None
    limits: str | None = None
    output: str | None = None
    owner: str | None = None
    licence: str | None = None


class Predicate(Record):
    """What is said of the files.

    name, version: of the registered model
    digest: of the candidate
    data, dataset: id and name of the rows it was trained on
    commit, dirty: revision it was registered from, and whether sources differed from it (None: not known)
    registered: when the version was made
    metrics: of the candidate on the test rows; `headline` is the one that gates use
    training_energy: None where it was not measured
    evidence: path of a report or card that lies with the version -> SHA-256
    """

    name: str = Field(min_length=1)
    version: str = Field(pattern=r"^[1-9][0-9]*$")
    digest: Sha256
    task: str
    model: str
    parameters: int = Field(ge=0)
    parity_max_abs: float = Field(ge=0)
    parity_windows: int = Field(ge=1)
    dataset: str
    data: str
    params_sha256: str
    commit: str
    dirty: bool | None
    registered: AwareDatetime
    verdicts: tuple[Judgement, ...] = Field(min_length=1)
    headline: Metric
    metrics: Mapping[str, Score]
    energy_per_1000: Energy
    training_energy: Energy | None
    card: CardSummary
    evidence: Mapping[str, Sha256]


class Statement(Record):
    """An in-toto statement, version 1, about the files of one version of a registered model."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1)
    predicate_type: Literal["urn:wattline:model:v1"] = Field(alias="predicateType")
    predicate: Predicate

    @classmethod
    def about(cls, files: Mapping[str, str], predicate: Predicate) -> Self:
        """A statement about `files` (name -> SHA-256)."""
        subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())]
        content = {"_type": TYPE, "subject": subject, "predicateType": PREDICATE_TYPE, "predicate": predicate}
        return cls.model_validate(content)

    @property
    def files(self) -> dict[str, str]:
        """Name of each deployed file -> its SHA-256."""
        return {one.name: one.digest.sha256 for one in self.subject}

    @property
    def candidate(self) -> Candidate:
        """The record that must lie with the files."""
        said = self.predicate.model_dump(include=set(Candidate.model_fields))
        return Candidate(files=self.files, **said)

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no white space. Raises ValueError for an energy that is no finite number."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.files) != len(self.subject):
            raise ValueError("two subjects have the same name")
        if self.candidate.digest != self.predicate.digest:
            raise ValueError("the digest does not fit the subjects")
        return self


def compose(
    candidate: Candidate,
    *,
    name: str,
    version: str,
    commit: str,
    dirty: bool | None,
    registered: AwareDatetime,
    decision: Decision,
    evaluation: Evaluation,
    measurement: Measurement,
    card: CardSummary,
    evidence: Mapping[str, str],
) -> Statement:
    """The statement about version `version` of the registered model `name`: equal arguments, equal bytes."""
    origin = candidate.model_dump(exclude={"files"})
    predicate = Predicate(
        **origin,
        name=name,
        version=version,
        digest=candidate.digest,
        commit=commit,
        dirty=dirty,
        registered=registered,
        verdicts=judgements(decision),
        headline=evaluation.headline,
        metrics=evaluation.contenders["candidate"],
        energy_per_1000=measurement.candidate.energy_per_1000,
        training_energy=measurement.training_energy,
        card=card,
        evidence=evidence,
    )
    return Statement.about(candidate.files, predicate)


def judgements(decision: Decision) -> tuple[Judgement, ...]:
    """The verdicts in short."""
    return tuple(
        Judgement(
            outcome=verdict.outcome,
            advisory=verdict.name in decision.advisory,
            **verdict.model_dump(include={"name", "value", "limit", "unit", "reason", "provenance"}),
        )
        for verdict in decision.verdicts
    )
