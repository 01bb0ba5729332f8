"""A trained model: what it is for, how it is called, and which files it is."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from wattline.records.base import Record
from wattline.records.data import Column


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
