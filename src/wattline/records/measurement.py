"""What running a model costs: time, energy, emissions."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Record
from wattline.records.energy import Energy
from wattline.records.energy_test import EnergyTest


class Performance(Record):
    """What one contender costs to run.

    latency_p50_ms, latency_p99_ms: one window, one thread [ms]
    throughput_per_second: windows per second in batches of `batch`
    energy_per_1000: energy of 1,000 predictions in batches of `batch`; idle power of the boundary is taken off
    idle_share: share of what the meter read that was idle power; NaN where that was not found out
    """

    digest: str
    latency_p50_ms: float = Field(ge=0)
    latency_p99_ms: float = Field(ge=0)
    throughput_per_second: float = Field(ge=0)
    batch: int = Field(ge=1)
    energy_per_1000: Energy
    idle_share: Figure = Field(default=float("nan"))


class Grid(Record):
    """How the electricity was made. An input of the site's, no figure of ours.

    grams_per_kwh: operational emissions [gCO2e/kWh]
    """

    grams_per_kwh: float = Field(ge=0)
    source: str = Field(min_length=1)
    as_of: date


class Emissions(Record):
    """Emissions of one activity, with all that they rest on: they mean nothing without.

    kwh: energy [kWh]
    grams: operational emissions, kwh * grid.grams_per_kwh [gCO2e]
    embodied_grams: share of the making of the hardware, by its time in use [gCO2e]
    provenance: of `kwh`; grams are computed from it
    unit: what they are for, e.g. "1,000 predictions"
    """

    kwh: float = Field(ge=0)
    grid: Grid
    grams: float = Field(ge=0)
    embodied_grams: float = Field(default=0.0, ge=0)
    embodied_source: str = ""
    provenance: Literal["measured", "estimated"]
    unit: str

    @property
    def total_grams(self) -> float:
        """Software carbon intensity, (E * I) + M per R of ISO/IEC 21031:2024 [gCO2e per `unit`]."""
        return self.grams + self.embodied_grams


class ServingWindow(Record):
    """One reading of the meter while the server did one thing.

    path: what was asked; "idle": nothing was
    joules: what the meter read, idle power included [J]
    low, high: what the meter's own resolution, or assumption, allows [J]
    seconds: how long it took, until the answers were in the server's log too [s]
    requests: that were answered, all of them right
    sending_seconds: until the last answer was there [s]
    scores, alarms: windows that were scored in it, and those above their threshold
    """

    path: str
    joules: float
    low: float
    high: float
    seconds: float = Field(ge=0)
    requests: int = Field(default=0, ge=0)
    sending_seconds: float = Field(default=0.0, ge=0)
    scores: int = Field(default=0, ge=0)
    alarms: int = Field(default=0, ge=0)


class ServingEnergy(Record):
    """Energy of the path that callers use: the real server, over HTTP; what it draws without requests is taken off.

    per_1000_requests: one window in each request, JSON
    per_million_samples: the live path: rows that arrive one by one, each of which is a sample of every column
    requests_per_second, samples_per_second: how fast they were sent, by a client on the same machine
    digest: of the candidate record; "" where it was not recorded
    idle_watts: what is taken off: the boundary with the server up and nothing asked [W]
    columns: samples in one row
    connections: kept open by the client, each with one request under way
    windows: every reading
    """

    per_1000_requests: Energy
    per_million_samples: Energy
    requests_per_second: float = Field(ge=0)
    samples_per_second: float = Field(ge=0)
    digest: str = ""
    idle_watts: Figure = Field(default=float("nan"))
    columns: int | None = Field(default=None, ge=1)
    connections: int | None = Field(default=None, ge=1)
    windows: tuple[ServingWindow, ...] = ()


class Measurement(Record):
    """Outcome of `measure`, candidate and champion in turns on one machine.

    training_energy: the whole training's; its parts are in reports/train_energy.json
    test: the energy test of the candidate against the champion, or alone
    baselines: energy of 1,000 answers of each baseline, as the task computes them
    """

    candidate: Performance
    champion: Performance | None = None
    machine: str
    training_energy: Energy | None = None
    test: EnergyTest | None = None
    serving: ServingEnergy | None = None
    baselines: Mapping[str, Energy] = {}
    emissions: tuple[Emissions, ...] = ()
