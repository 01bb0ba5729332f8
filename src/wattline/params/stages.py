"""The sections that stages are given."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

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


Statistic = Literal["avg", "std", "min", "max", "count"]


class WindowParams(Section):
    """Irregular samples as windows.

    seconds: length of a window; its edges are multiples of it since 1970, UTC [s]
    statistics: what each column becomes, of avg, std, min, max and count, in this order
    """

    seconds: float = Field(gt=0, le=7 * 86_400)
    statistics: tuple[Statistic, ...] = Field(default=("avg", "std", "min", "max", "count"), min_length=1)

    @field_validator("seconds")
    @classmethod
    def _is_whole(cls, seconds: float) -> float:
        if round(seconds * 1e9) < 1:
            raise ValueError(f"must be at least a nanosecond, got {seconds}")
        return seconds

    @field_validator("statistics")
    @classmethod
    def _are_different(cls, statistics: tuple[Statistic, ...]) -> tuple[Statistic, ...]:
        if len(set(statistics)) < len(statistics):
            raise ValueError("names one twice; give each statistic once")
        return statistics


class PrepareParams(Section):
    """How samples become rows, and rows are cut by time.

    windows: samples of a window become one row; null: rows are as the source has them, at its cadence
    validation_fraction: last share of what is not test
    test_fraction: last share of the span; not used where the publisher has a test part
    gap_steps: rows before validation and before test that are in no split, as many as a prediction looks ahead; they
        only give context to the first windows after them
    minimum_rows: a unit with fewer recorded rows in any split is an error
    """

    windows: WindowParams | None = None
    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    gap_steps: int = Field(default=1, ge=0, le=1_000_000)
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


class SessionParams(Section):
    """The session of the paired energy test.

    minimum_blocks: blocks of four samples before anything is decided, and as many controls
    maximum_blocks: blocks after which the answer is that there is none
    sample_seconds: shortest sample; it is longer where the meter's resolution wants that [s]
    idle_seconds: how long idle power is watched, before and after [s]
    warm_up_seconds: longest time in which the cost of a contender must have become steady [s]
    timeout_seconds: longest time for one sample, and for a contender to load [s]
    idle_drift: largest change of idle power, as a share of what the contenders draw above it
    other_cores: largest mean number of cores busy with anything else, where the meter sees the whole machine
    """

    minimum_blocks: int = Field(ge=4)
    maximum_blocks: int = Field(ge=4)
    sample_seconds: Positive
    idle_seconds: Positive
    warm_up_seconds: Positive
    timeout_seconds: Positive
    idle_drift: Positive
    other_cores: Positive


class ServingLoadParams(Section):
    """What the real server is asked, on this machine, to find out what its path costs.

    requests: to /predict in one turn, one window in each; more where the meter's resolution wants that
    rows: to /observe in one turn, one in each request; a row is a sample of every column
    repeats: turns of each path, between which nothing is asked
    connections: kept open, each with one request under way
    idle_seconds: how long idle power is watched before and after each turn [s]
    timeout_seconds: longest time for the server to become ready, and for one turn [s]
    """

    requests: int = Field(ge=100)
    rows: int = Field(ge=100)
    repeats: int = Field(ge=3)
    connections: int = Field(ge=1, le=256)
    idle_seconds: Positive
    timeout_seconds: Positive


class MeasureParams(Section):
    """How the cost of a prediction is measured.

    windows: about how many windows of the test rows are used
    repeats: how often candidate and champion take turns, for latency and throughput
    batch: windows in one batch, for throughput and energy
    session: the paired energy test
    serving: the path through the real server; null: it is not measured
    """

    windows: int = Field(ge=100)
    repeats: int = Field(ge=3)
    batch: int = Field(ge=1)
    session: SessionParams
    serving: ServingLoadParams | None = None


class PrometheusParams(Section):
    """A power series of the site's, for `energy.meter: prometheus`.

    url: of the Prometheus server; credentials come from the environment
    query: PromQL that gives one series of watts, e.g. `node_power_watts{instance="node-01"}`
    boundary: what it covers, in words
    interval_seconds: how often it is sampled there [s]
    """

    url: str
    query: str
    boundary: str
    interval_seconds: Positive


class RedfishParams(Section):
    """The board management controller, for `energy.meter: redfish`; credentials come from the environment.

    url: of the controller
    chassis: its name under /redfish/v1/Chassis
    interval_seconds: how often power is read [s]
    """

    url: str
    chassis: str
    interval_seconds: Positive


class EnergyParams(Section):
    """Which meter is read, and what energy is estimated from where there is none.

    meter: auto takes what measures the devices that are used, and an estimate where there is nothing; a training is
        taken to run on CPUs, so name rapl+nvml, or a meter of the site's, where it uses GPUs
    watts_per_core: power of one busy core [W]
    watts_source: where that figure comes from
    idle_share: idle power of the machine that an estimate charges on top, as a share of `watts_per_core`
    idle_source: where that figure comes from
    prometheus: a power series of the site's
    redfish: the board management controller
    """

    meter: Literal["auto", "rapl", "nvml", "rapl+nvml", "slurm", "ear", "ipmi", "redfish", "prometheus", "estimate"] = (
        "auto"
    )
    watts_per_core: Positive
    watts_source: str = Field(min_length=1)
    idle_share: float = Field(ge=0)
    idle_source: str = Field(min_length=1)
    prometheus: PrometheusParams | None = None
    redfish: RedfishParams | None = None

    @field_validator("prometheus", "redfish")
    @classmethod
    def _holds_no_credentials(
        cls, server: PrometheusParams | RedfishParams | None
    ) -> PrometheusParams | RedfishParams | None:
        """Also of a meter that is not used: params.yaml is committed, and copied into dvc.lock."""
        if server is not None and "@" in server.url:
            raise ValueError("url holds credentials; they come from the environment, take them out")
        return server


class EmissionsParams(Section):
    """How the site's electricity is made. Where the section is null, no grams are stated anywhere.

    grams_per_kwh: operational emissions of a kilowatt-hour at the site [gCO2e/kWh]
    source: who says so, about which grid
    as_of: the day, or the end of the period, that the factor is about; in quotes, as DVC reads no bare dates
    embodied_grams_per_hour: share of the making of one machine in an hour of its life [gCO2e/h]
    embodied_source: who says so, and of which lifetime; needed where that share is not 0
    """

    grams_per_kwh: float = Field(ge=0)
    source: str = Field(min_length=1)
    as_of: date
    embodied_grams_per_hour: float = Field(default=0.0, ge=0)
    embodied_source: str = Field(default="", validate_default=True)

    @field_validator("as_of", mode="before")
    @classmethod
    def _is_a_day_in_quotes(cls, value: Any) -> date:
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError('must be a day in quotes, e.g. "2026-12-31"') from None

    @field_validator("embodied_source")
    @classmethod
    def _is_named(cls, source: str, info: ValidationInfo) -> str:
        if info.data.get("embodied_grams_per_hour") and not source.strip():
            raise ValueError("must say where embodied_grams_per_hour comes from")
        return source


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
