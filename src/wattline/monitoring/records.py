"""What a look found out, and what the next one must know of it."""

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, Field

from wattline.drift.records import Drift
from wattline.params.monitoring import SignalName
from wattline.records import Energy, Figure, Provenance, Record

Outcome = Literal["alarm", "quiet", "unknown"]
Lacking = Literal["too few samples", "no labels", "not measured"]


class Signal(Record):
    """The answer to one question about production. Without enough evidence it is "unknown", which is no "quiet".

    lacking: what was missing for an answer; None where there is one
    value, limit: the figure that decided and what it was held against, in `unit`; NaN where there is no answer
    reason: a sentence with the figures behind it
    """

    name: SignalName
    outcome: Outcome
    reason: str
    lacking: Lacking | None = None
    value: Figure = float("nan")
    limit: Figure = float("nan")
    unit: str = "1"
    provenance: Provenance = "computed"


class Precision(Record):
    """What people said of the champion's answers.

    alarms, labelled, confirmed: alarms, those of them that were confirmed or dismissed, and the confirmed ones
    missed: answers without an alarm that people called an anomaly
    value: confirmed / labelled; low, high: Wilson's 95 % interval
    """

    alarms: int = Field(ge=0)
    labelled: int = Field(ge=0)
    confirmed: int = Field(ge=0)
    missed: int = Field(ge=0)
    value: Figure
    low: Figure
    high: Figure


class Counters(Record):
    """What the server's counters said, since it was started.

    inference_joules, server_joules: of running graphs, and of all the server does [J]
    predictions: windows that were answered
    """

    inference_joules: float = Field(ge=0)
    server_joules: float = Field(ge=0)
    predictions: float = Field(ge=0)
    provenance: Literal["measured", "estimated"]


class Production(Record):
    """Energy of answers since the last look.

    inference_per_1000, server_per_1000: for 1,000 predictions: of running graphs, and of the whole server [J]
    budget_per_1000: what gates.energy.budget_joules allows for running graphs [J]
    own: what 1,000 predictions took when the version was measured, as signed; None where nothing is signed
    """

    predictions: int = Field(ge=0)
    inference_per_1000: Figure
    server_per_1000: Figure
    budget_per_1000: float
    provenance: Literal["measured", "estimated"]
    own: Energy | None = None


class State(Record):
    """What the next look must know.

    looked_at: when this look was
    since: where the next look begins: not moved on as long as samples are too few
    digest: of the champion that streaks are about
    streaks: signal -> looks in a row that raised an alarm
    counters: what the server's counters said; None where nobody asked
    """

    looked_at: AwareDatetime
    since: AwareDatetime
    digest: str
    streaks: Mapping[str, int] = {}
    counters: Counters | None = None


class Decision(Record):
    """Whether a retraining is asked for.

    by: the signals that ask for it
    """

    retrain: bool
    by: tuple[str, ...] = ()
    reason: str


class Retraining(Record):
    """What became of the question whether to open a pipeline.

    pipeline, url: the one that was opened, or that made another one needless
    cancelled: pipelines of other looks at the same moment, which were one too many
    """

    outcome: Literal["not asked for", "no GitLab", "would be opened", "opened", "cooling down"]
    reason: str
    pipeline: int | None = None
    url: str | None = None
    cancelled: tuple[int, ...] = ()


class Look(Record):
    """reports/monitor.json: one look at production.

    since, until: answers that were looked at
    source: where served rows came from
    previous: where the state of the look before came from; None where there was none
    """

    model: str
    version: str
    digest: str
    data: str
    since: AwareDatetime
    until: AwareDatetime
    source: str
    previous: str | None
    signals: tuple[Signal, ...]
    inputs: Drift
    scores: Drift
    labels: Precision
    energy: Production | None
    decision: Decision
    retraining: Retraining
    state: State
