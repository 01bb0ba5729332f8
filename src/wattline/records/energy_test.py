"""A session of the paired energy test: everything that was observed, and what it says."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Record
from wattline.records.energy import Scope
from wattline.records.model import Metric


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
