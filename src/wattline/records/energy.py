"""What running and training a model costs, and the experiment that found it out."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Record
from wattline.records.model import Metric

JOULES_PER_KWH = 3.6e6
Scope = Literal["machine", "devices", "processes"]
"""What a meter cannot tell apart: a whole machine with all that runs on it, whole accelerators, or nothing but us."""


class Energy(Record):
    """Energy of one activity.

    joules: total energy within `boundary` [J]
    interval: 95 % confidence interval of `joules` [J]
    provenance: "measured" (a hardware counter) or "estimated" (a model of one)
    sensor: what was read, e.g. "rapl:package-0" or "CPU time x 12.5 W/core"
    boundary: what is included
    seconds: how long the activity took [s]
    resolution_joules: smallest step that the sensor can tell [J]; None where it was not recorded
    scope: what else is inside the boundary; None where it was not recorded
    parameters: what an estimate rests on, with units and sources
    """

    joules: float = Field(ge=0)
    interval: tuple[float, float]
    provenance: Literal["measured", "estimated"]
    sensor: str
    boundary: str
    seconds: float = Field(ge=0)
    resolution_joules: float | None = Field(default=None, ge=0)
    scope: Scope | None = None
    parameters: Mapping[str, str] = {}

    @property
    def kwh(self) -> float:
        """`joules` as kilowatt-hours."""
        return self.joules / JOULES_PER_KWH

    def scaled(self, factor: float) -> "Energy":
        """The same measurement expressed for `factor` times the work."""
        low, high = self.interval
        resolution = self.resolution_joules
        return self.model_copy(
            update={
                "joules": self.joules * factor,
                "interval": (low * factor, high * factor),
                "seconds": self.seconds * factor,
                "resolution_joules": resolution * factor if resolution is not None else None,
            }
        )


class Condition(Record):
    """One thing that a meter, or a session, had to show.

    found: what it showed, in words with units
    """

    name: str
    holds: bool
    found: str


class SelfTest(Record):
    """Whether a meter works here: it counts forwards, it moves, and a known load moves it more than idling does.

    seconds: how long it took [s]
    """

    meter: str
    conditions: tuple[Condition, ...]
    seconds: float = Field(ge=0)

    @property
    def passed(self) -> bool:
        return bool(self.conditions) and all(condition.holds for condition in self.conditions)


class Requests(Record):
    """The fixed work of an energy test.

    sha256: digest of the rows that are asked about, with unit names, timestamps and targets: equal for all contenders
    windows: how many different windows there are
    batch: windows in one call of the graph
    passes: how often all windows are answered in one sample; equal for all contenders
    """

    sha256: str
    windows: int = Field(ge=1)
    batch: int = Field(ge=1)
    passes: int = Field(ge=1)

    @property
    def predictions(self) -> int:
        """Windows answered in one sample."""
        return self.windows * self.passes


class Contender(Record):
    """Who was tested.

    digest: of the candidate record
    score: headline metric of the answers that were given in the samples; NaN where it is undefined
    answers_sha256: digest of these answers, which are the same in every sample
    warm_up_passes: passes before its cost was steady
    """

    name: Literal["candidate", "baseline"]
    digest: str
    score: Figure
    answers_sha256: str
    warm_up_passes: int = Field(ge=0)


class Sample(Record):
    """One reading of the meter while one contender did the work of `Requests` once.

    joules: what the meter read, idle power included [J]
    low, high: what the meter's own resolution allows [J]
    seconds: how long it took [s]
    cpu_seconds: CPU time of the contender's processes [s]
    other_cores: mean number of cores that were busy with anything else
    """

    contender: Literal["candidate", "baseline"]
    joules: float
    low: float
    high: float
    seconds: float = Field(ge=0)
    cpu_seconds: float = Field(ge=0)
    other_cores: float = Field(ge=0)


class Block(Record):
    """Four samples in the order ABBA or BAAB, in which a steady drift of the machine cancels.

    kind: "pair": A is the candidate, B the baseline; "control": A and B are two processes of the same contender
    """

    kind: Literal["pair", "control"]
    order: Literal["ABBA", "BAAB"]
    samples: tuple[Sample, Sample, Sample, Sample]


class Idle(Record):
    """Power while nothing was asked.

    watts: mean of the meter [W]
    other_cores: mean number of cores that were busy with anything else
    """

    watts: float
    seconds: float = Field(gt=0)
    other_cores: float = Field(ge=0)


class Sensor(Record):
    """What all samples of a session were read from; see `Energy` for the fields.

    meter: its name in params.yaml
    """

    meter: str
    sensor: str
    boundary: str
    scope: Scope
    provenance: Literal["measured", "estimated"]
    resolution_joules: float | None = Field(default=None, ge=0)
    minimum_seconds: float = Field(ge=0)
    parameters: Mapping[str, str] = {}


class EnergyTest(Record):
    """A session of the paired energy test: everything that was observed, and nothing that was concluded from it.

    Without a baseline there are no blocks of kind "pair", and the samples of the controls are the candidate's.

    headline: metric of the scores
    seed: of the order of the blocks
    seconds: from the first reading of idle power to the end; self-test and loading come before [s]
    problem: why the session broke off, in one sentence; None where it ended as planned
    overhead: share of `seconds` that was spent on neither samples, idling nor warming up
    """

    requests: Requests
    headline: Metric
    sensor: Sensor
    self_test: SelfTest
    contenders: tuple[Contender, ...]
    idle_before: Idle | None = None
    idle_after: Idle | None = None
    blocks: tuple[Block, ...] = ()
    seed: int
    seconds: float = Field(ge=0)
    overhead: Figure
    problem: str | None = None


class Judgement(Record):
    """The answer of an energy test.

    ratio: candidate / baseline, energy without idle power, geometric mean over blocks; NaN without a baseline
    interval: of `ratio`; each bound misses it with the share of `alpha` that this look may take
    control_ratio, control_interval: one contender against itself, two-sided at `alpha`
    blocks: pairs that it rests on
    blocks_needed: pairs that the declared power asks for, given the noise of the controls; 0 where that is unknown
    loss: by how much the candidate's answers are worse than the baseline's [unit of the headline metric]; NaN where
        that is unknown
    more: whether more blocks could still change the answer; `looks` says how many
    """

    outcome: Literal["PASS", "FAIL", "REFUSE"]
    reason: str
    ratio: Figure
    interval: tuple[Figure, Figure]
    control_ratio: Figure
    control_interval: tuple[Figure, Figure]
    blocks: int
    blocks_needed: int
    loss: Figure = float("nan")
    more: bool = False


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


class Attempt(Record):
    """One attempt at a training, by one of its processes.

    number: counted from 1; one that was interrupted is followed by the next
    rank, node: place of the process in a job of several, and of its node; both 0 for a single process
    finished: whether it reached the end; what one that did not used is lost work, and counts
    """

    number: int = Field(ge=1)
    rank: int = Field(ge=0)
    node: int = Field(ge=0)
    finished: bool
    energy: Energy


class TrainingEnergy(Record):
    """Energy of a whole training: every attempt of every process, lost work included.

    total: their sum; estimated as soon as one part is
    """

    total: Energy
    attempts: tuple[Attempt, ...] = Field(min_length=1)

    @property
    def launches(self) -> int:
        """How often the training was begun."""
        return max(attempt.number for attempt in self.attempts)


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


class Point(Record):
    """One model in the plane of energy and quality.

    kind: "candidate", "version" (registered earlier) or "baseline"; in a bake-off "chosen" or "model"
    score: headline metric on the same test rows
    joules_per_1000, interval: energy of 1,000 predictions and its 95 % confidence interval [J]
    comparable: whether it was scored on the same rows, and its energy read from the same sensor, on the same kind of
        machine and for the same work
    """

    name: str
    kind: Literal["candidate", "version", "baseline", "chosen", "model"]
    score: Figure
    joules_per_1000: Figure
    interval: tuple[Figure, Figure] = (float("nan"), float("nan"))
    provenance: Literal["measured", "estimated"]
    comparable: bool = True


class Pareto(Record):
    """The candidate beside every earlier version and the baselines. The candidate comes first.

    headline: metric of the scores
    """

    headline: Metric
    points: tuple[Point, ...] = Field(min_length=1)


class EarlierVersion(Record):
    """What the reports of a registered version say of it.

    digest: of its candidate
    metric, score: headline metric, its name and the value
    rows_sha256: of the test rows it was scored on
    batch, machine: how, and on what, its energy was found out
    origin: the site that it was imported from; None for one of ours
    """

    version: str
    digest: str
    metric: str
    score: Figure
    rows_sha256: str
    energy_per_1000: Energy
    batch: int = Field(ge=1)
    machine: str
    origin: str | None = None


class Earlier(Record):
    """Every version of a model that was registered so far, as `wattline champion` found them, the oldest first.

    unreadable: versions whose reports are not what was signed or cannot be read, and why, one sentence each
    """

    model: str | None = None
    versions: tuple[EarlierVersion, ...] = ()
    unreadable: tuple[str, ...] = ()


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
