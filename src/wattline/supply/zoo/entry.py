"""One registered version, as the zoo lists it."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from wattline.errors import InputError
from wattline.records import Column, Energy, Metric, Record, Score, Signature
from wattline.signing.statement import CardSummary, Judgement, Sha256, Statement

Status = Literal["champion", "challenger", "former champion", "registered", "imported"]

PAGE = r"^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.md$"
"""A path below the index: none that leads out of its folder."""


class Dataset(Record):
    """The rows a version was trained on. id: their content address"""

    name: str
    id: str


class Features(Record):
    """What a caller hands in: `steps` rows of these columns, in this order, `cadence_seconds` apart."""

    columns: tuple[Column, ...]
    steps: int = Field(ge=1)
    cadence_seconds: float = Field(gt=0)


class CardPage(Record):
    """The model card of a version.

    sha256: of the page that was registered with it
    path: where that page lies, seen from the index; None where it is not beside it
    """

    sha256: Sha256
    path: str | None = Field(default=None, pattern=PAGE)


class Entry(Record):
    """One version of a registered model.

    digest: of the candidate
    model: kind of model
    commit, dirty: revision it was registered from, and whether sources differed from it (None: not known)
    registered: when the version was made [UTC]
    metrics: on the test rows, with 95 % intervals; `headline` says unit and direction of the one that gates use
    energy_per_1000, training_energy: in joules, with interval, provenance, sensor and boundary
    signer: id of the key that signed its statement; None while nobody has
    files: name of each deployed file -> SHA-256
    imported_from: the site it came from; None where it was registered here
    """

    name: str = Field(min_length=1)
    version: str = Field(pattern=r"^[1-9][0-9]*$")
    status: Status
    digest: Sha256
    task: str
    model: str
    parameters: int = Field(ge=0)
    dataset: Dataset
    commit: str
    dirty: bool | None
    registered: AwareDatetime
    headline: Metric
    metrics: Mapping[str, Score]
    energy_per_1000: Energy
    training_energy: Energy | None
    gates: tuple[Judgement, ...] = Field(min_length=1)
    features: Features
    files: Mapping[str, Sha256] = Field(min_length=1)
    signer: Sha256 | None
    imported_from: str | None
    summary: CardSummary
    card: CardPage | None

    @classmethod
    def of(
        cls,
        statement: Statement,
        signature: Signature,
        *,
        status: Status,
        signer: str | None,
        imported_from: str | None = None,
    ) -> Self:
        """What `statement` and `signature` say of a version.

        Raises InputError when they are about different tasks, or the headline metric has no score.
        """
        said = statement.predicate
        label = f"version {said.version} of {said.name}"
        if signature.task != said.task:
            raise InputError(f"signature.json is about task {signature.task!r}, {label} about {said.task!r}; pair them")
        if said.headline.name not in said.metrics:
            raise InputError(f"{label} has no score of its headline {said.headline.name}; register it again")
        shared = said.model_dump(
            include={"name", "version", "digest", "task", "model", "parameters", "commit", "dirty"}
        )
        page = said.evidence.get(f"cards/{said.task}.md")
        return cls(
            **shared,
            status=status,
            dataset=Dataset(name=said.dataset, id=said.data),
            registered=said.registered.astimezone(UTC),
            headline=said.headline,
            # In the store the keys of a statement are sorted: read from there or composed here, equal entries.
            metrics=dict(sorted(said.metrics.items())),
            energy_per_1000=said.energy_per_1000,
            training_energy=said.training_energy,
            gates=said.verdicts,
            features=Features(**signature.model_dump(include=set(Features.model_fields))),
            files=dict(sorted(statement.files.items())),
            signer=signer,
            imported_from=imported_from,
            summary=said.card,
            card=CardPage(sha256=page) if page else None,
        )

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.name} version {self.version}"

    @property
    def score(self) -> Score:
        """Score of the headline metric."""
        return self.metrics[self.headline.name]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.headline.name not in self.metrics:
            raise ValueError(f"the headline {self.headline.name} has no score")
        return self


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By model, the newest version first."""
    return sorted(entries, key=lambda entry: (entry.name, -int(entry.version)))
