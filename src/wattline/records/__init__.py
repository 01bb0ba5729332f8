"""The nouns that stages hand to each other: frozen, typed, JSON in and JSON out."""

from wattline.records.base import Figure, Provenance, Record
from wattline.records.data import Axis, Column, Dataset, Finding, Manifest, Part, SourceFile, UnitRows, Validation
from wattline.records.decision import Check, Decision, EnergyFindings, Verdict
from wattline.records.energy import Attempt, Energy, Scope, TrainingEnergy
from wattline.records.energy_test import (
    Block,
    Condition,
    Contender,
    EnergyTest,
    Idle,
    Judgement,
    Requests,
    Sample,
    SelfTest,
    Sensor,
)
from wattline.records.evaluation import Evaluation, Score, Slice, worst_first
from wattline.records.measurement import Emissions, Grid, Measurement, Performance, ServingEnergy, ServingWindow
from wattline.records.model import Candidate, Champion, Description, Metric, Signature, Tensor
from wattline.records.pareto import Earlier, EarlierVersion, Pareto, Point
from wattline.records.snapshot import Partition, Snapshot, SnapshotUnit

__all__ = [
    "Attempt",
    "Axis",
    "Block",
    "Candidate",
    "Champion",
    "Check",
    "Column",
    "Condition",
    "Contender",
    "Dataset",
    "Decision",
    "Description",
    "Earlier",
    "EarlierVersion",
    "Emissions",
    "Energy",
    "EnergyFindings",
    "EnergyTest",
    "Evaluation",
    "Figure",
    "Finding",
    "Grid",
    "Idle",
    "Judgement",
    "Manifest",
    "Measurement",
    "Metric",
    "Pareto",
    "Part",
    "Partition",
    "Performance",
    "Point",
    "Provenance",
    "Record",
    "Requests",
    "Sample",
    "Scope",
    "Score",
    "SelfTest",
    "Sensor",
    "ServingEnergy",
    "ServingWindow",
    "Signature",
    "Slice",
    "Snapshot",
    "SnapshotUnit",
    "SourceFile",
    "Tensor",
    "TrainingEnergy",
    "UnitRows",
    "Validation",
    "Verdict",
    "worst_first",
]
