"""The sections that stages are given."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from wattline.params.section import Fraction, Positive, Section


class IngestParams(Section):
    """Where rows come from.

    source: name of a source, or the dotted name of a module of yours
    options: one mapping for each source; only that of `source` is read, and the source types it
    """

    source: str
    options: Mapping[str, Mapping[str, Any]] = {}


class ValidateParams(Section):
    """first_rows: how many offending values a finding shows."""

    first_rows: int = Field(ge=1)


class ProfileParams(Section):
    """rows: at most so many rows, evenly spread over units and time, enter quantiles and the comparison of parts."""

    rows: int = Field(ge=100)


class PrepareParams(Section):
    """How rows are cut by time.

    validation_fraction: last share of what is not test
    test_fraction: last share of the span; not used where the publisher has a test part
    minimum_rows: a unit with fewer recorded rows in any split is an error
    """

    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    minimum_rows: int = Field(ge=1)


class EvaluateParams(Section):
    """How sure the scores are, and what disturbs them.

    resamples: bootstrap resamples over units
    noise: perturbation, added to every value [standard deviations of its column]
    missing: perturbation, share of values removed
    """

    resamples: int = Field(ge=100)
    noise: Positive
    missing: Fraction


class MeasureParams(Section):
    """How the cost of a prediction is measured.

    windows: how many windows of the test rows are used
    repeats: how often candidate and champion take turns
    predictions: windows answered in one turn, for throughput and energy: enough for the meter to count
    batch: windows in one batch, for throughput and energy
    """

    windows: int = Field(ge=100)
    repeats: int = Field(ge=3)
    predictions: int = Field(ge=1000)
    batch: int = Field(ge=1)


class EnergyParams(Section):
    """What energy is estimated from where no counter exists.

    watts_per_core: power of one busy core [W]
    watts_source: where that figure comes from
    """

    watts_per_core: Positive
    watts_source: str = Field(min_length=1)


class DecideParams(Section):
    """advisory: gates whose failure is reported without rejecting. `integrity` cannot be one."""

    advisory: tuple[Literal["data", "quality", "champion", "slices", "robustness", "latency", "energy"], ...] = ()


class CardParams(Section):
    """What a model card needs and no stage can find out.

    owner: who answers for the model
    contact: where they are reached
    licence: under which the model is handed on, as an SPDX identifier where there is one
    """

    owner: str = Field(min_length=1)
    contact: str = Field(min_length=1)
    licence: str = Field(min_length=1)
