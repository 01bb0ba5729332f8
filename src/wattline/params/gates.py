"""Limits of the gates."""

from typing import Literal

from pydantic import Field

from wattline.params.section import Fraction, Positive, Section


class DataLimits(Section):
    """What the raw rows must be; a critical finding never passes.

    minimum_rows: rows of all units
    minimum_units: units
    maximum_warnings: expectations of severity `warning` that may fail
    """

    minimum_rows: int = Field(ge=1)
    minimum_units: int = Field(ge=1)
    maximum_warnings: int = Field(ge=0)


class QualityLimits(Section):
    """How accurate a candidate must be.

    metric: name of the task's headline metric
    limit: what the worse bound of its interval must reach, from above where lower is better [unit of the metric]
    margin_over_baselines: relative gain over the best baseline's value
    """

    metric: str
    limit: float
    margin_over_baselines: float = Field(ge=0)


class ChampionLimits(Section):
    """tolerance: how much worse than the champion the candidate may be [unit of the headline metric]."""

    tolerance: float = Field(ge=0)


class SlicesLimits(Section):
    """How good the worst group (a rack) must be.

    limit: what it must reach in the headline metric [unit of the headline metric]
    minimum_rows: groups with fewer test rows are not judged
    """

    limit: float
    minimum_rows: int = Field(ge=1)


class RobustnessLimits(Section):
    """maximum_loss: share of the headline metric that may be lost under any one perturbation."""

    maximum_loss: Fraction


class LatencyLimits(Section):
    """How fast answers must be, on one thread.

    p99_ms: 99th percentile of the time for one window [ms]
    throughput_per_second: windows in batches of `measure.batch` [1/s]
    """

    p99_ms: Positive
    throughput_per_second: Positive


class EnergyLimits(Section):
    """What a prediction and a training may cost.

    margin: by how much the candidate may cost more than the champion, as a share of what that one costs
    alpha: risk of passing a candidate that costs just as much more as `margin`, and of failing one that does not
    power: chance that a candidate which costs the same passes; sets how many blocks are needed
    budget_joules: energy of 1,000 predictions [J]
    training_budget_kwh: energy of a whole training, lost attempts included [kWh]
    evidence: the weakest kind of figure that is accepted; `measured` refuses estimates
    """

    margin: Positive
    alpha: float = Field(gt=0, lt=0.5)
    power: float = Field(gt=0.5, lt=1)
    budget_joules: Positive
    training_budget_kwh: Positive
    evidence: Literal["measured", "estimated"]


class GatesParams(Section):
    """Limits of the gates. `integrity` has none: bytes are equal or they are not."""

    data: DataLimits
    quality: QualityLimits
    champion: ChampionLimits
    slices: SlicesLimits
    robustness: RobustnessLimits
    latency: LatencyLimits
    energy: EnergyLimits
