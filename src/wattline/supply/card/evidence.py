"""What a model card is made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from wattline.params import CardParams
from wattline.records import (
    Candidate,
    Dataset,
    Decision,
    Description,
    Evaluation,
    Manifest,
    Measurement,
    Signature,
    TrainingEnergy,
    Validation,
)


@dataclass(frozen=True)
class Evidence:
    """All records that a card is made from.

    training: the figures of `reports/train.json`
    training_energy: what it took, attempt by attempt
    code_sha256: digest of the platform's and the project's source
    """

    card: CardParams
    description: Description
    dataset: Dataset
    manifest: Manifest
    validation: Validation
    candidate: Candidate
    signature: Signature
    training: Mapping[str, object]
    training_energy: TrainingEnergy
    evaluation: Evaluation
    measurement: Measurement
    decision: Decision
    code_sha256: str
    python: str
