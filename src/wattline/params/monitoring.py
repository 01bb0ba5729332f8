"""Knobs of `wattline monitor`: what counts as a signal, and when signals open a retraining."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wattline.params.section import Fraction, Positive, Section

SignalName = Literal["inputs", "scores", "labels", "energy"]
Risk = Annotated[float, Field(gt=0, le=0.5)]


class DriftParams(Section):
    """How inputs and scores are held against the rows that the champion was trained on.

    risk: chance that anything is said to have drifted where nothing changed
    splits: parts of the reference that are held against its rest, to find the threshold of that risk
    minimum_rows: served rows of trained units below which there is no answer on inputs
    minimum_scores: the same for answers of the champion
    maximum_share: share of the columns that may have drifted
    """

    risk: Risk
    splits: int = Field(ge=20, le=10000)
    minimum_rows: int = Field(ge=20)
    minimum_scores: int = Field(ge=20)
    maximum_share: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _splits_can_tell(self) -> Self:
        if (self.splits + 1) * self.risk < 1:
            raise ValueError(f"splits must be at least 1 / risk - 1, here {1 / self.risk - 1:.0f}")
        return self


class LabelsParams(Section):
    """What people said of alarms.

    days: alarms of so many days count, as labels come late [d]
    minimum_labels: labelled alarms below which there is no answer
    minimum_precision: share of labelled alarms that must have been right
    """

    days: Positive
    minimum_labels: int = Field(ge=1)
    minimum_precision: Fraction


class ProductionEnergyParams(Section):
    """What answers cost in production. What they may cost is in gates.energy.budget_joules.

    metrics: http(s) address of the server's /metrics, or a file with what it said; empty: not looked at
    minimum_predictions: answers below which there is no answer on energy
    maximum_ratio: how many times what the version was measured or estimated with an answer may take
    """

    metrics: str
    minimum_predictions: int = Field(ge=1)
    maximum_ratio: Positive


class RetrainingParams(Section):
    """When a retraining is opened.

    signals: any of these may ask for one; the others are only reported
    looks: so many looks in a row must agree; one that had too little to go on neither counts nor breaks the row
    cool_down_hours: after a retraining was opened, no other one for so long, whatever became of it [h]
    """

    signals: tuple[SignalName, ...]
    looks: int = Field(ge=1, le=100)
    cool_down_hours: Positive


class MonitoringParams(Section):
    """The scheduled look at what was served.

    longest_hours: a look goes back to the last one that had enough samples, but no further than this [h]
    """

    longest_hours: Positive
    drift: DriftParams
    labels: LabelsParams
    energy: ProductionEnergyParams
    rule: RetrainingParams
