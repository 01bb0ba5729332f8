"""What a bake-off found out, and what it concluded: enough to choose again without running anything."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from wattline.measuring.report import Comparison
from wattline.measuring.turns import Turns
from wattline.params import RuleParams, SessionParams
from wattline.records import Energy, Metric, Performance, Record, Score

Provenance = Literal["measured", "estimated"]


class Entrant(Record):
    """One model of a bake-off. What it did not get to is None.

    options: what differs from the section `train`
    identity: of all that it was made from: rows, options, seed, code
    digest: of the candidate record
    headline: score on the test rows
    performance: latency, throughput and energy, all entrants in turns in one session
    training: energy of the whole training
    failure: why it has no figures, in one sentence
    """

    name: str
    options: Mapping[str, Any]
    identity: str
    digest: str | None = None
    parameters: int | None = Field(default=None, ge=0)
    headline: Score | None = None
    performance: Performance | None = None
    training: Energy | None = None
    failure: str | None = None


class Inputs(Record):
    """What all entrants have in common.

    data: id of the dataset
    prepared_sha256: of the manifest of the prepared rows
    rows_sha256: of the test rows that were scored; None where nothing was
    code_sha256: of the sources of platform and task
    """

    data: str
    prepared_sha256: str
    rows_sha256: str | None
    code_sha256: str


class Choice(Record):
    """What the rule says.

    name: the chosen model; None where none meets the rule
    ranked: those that meet it, best first
    obstacles: name of each other one -> why it does not meet it
    front: those that no other one beats in score and energy, whether they meet the rule or not
    """

    name: str | None
    ranked: tuple[str, ...]
    obstacles: Mapping[str, str]
    front: tuple[str, ...]
    reason: str


class Versus(Record):
    """The chosen model against its closest competitor: the next one that meets the rule.

    inputs: digest of both models, rows, knobs, code and machine
    name: of the competitor
    difference: headline of the chosen one minus that of the competitor, over the units in pairs
    comparison: the paired energy test, the chosen one as candidate; None where none could be held
    session: how it was planned
    problem: why none could be held, in one sentence
    """

    inputs: str
    name: str
    difference: Score
    comparison: Comparison | None = None
    session: SessionParams
    problem: str | None = None


class Bakeoff(Record):
    """Outcome of `wattline bakeoff`.

    evidence: the weakest kind of energy that is accepted
    entrants: best first, then those that do not meet the rule, then those that failed
    turns: every reading of the meter in the session of all; None where none could be measured
    versus: None where fewer than two meet the rule
    """

    task: str
    headline: Metric
    rule: RuleParams
    seed: int
    inputs: Inputs
    machine: str
    evidence: Provenance
    entrants: tuple[Entrant, ...]
    choice: Choice
    turns: Turns | None = None
    versus: Versus | None = None
