"""How good the answers of contenders are."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from wattline.records.base import Figure, Record
from wattline.records.model import Champion, Metric


class Score(Record):
    """One metric over units, with its 95 % bootstrap interval.

    units: how many units have a defined value
    """

    value: Figure
    low: Figure
    high: Figure
    units: int = Field(ge=0)

    def __str__(self) -> str:
        if not self.units:
            return "undefined"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class Slice(Record):
    """Scores of one part of the test rows.

    kind: "unit" or "group"
    scores: metric name -> value (NaN where undefined, for example without an anomaly)
    """

    kind: Literal["unit", "group"]
    name: str
    rows: int
    scores: Mapping[str, Figure]


def worst_first(slices: Iterable[Slice], metric: Metric) -> list[Slice]:
    """The slices in which `metric` is defined, the worst one first."""
    defined = [part for part in slices if math.isfinite(part.scores[metric.name])]
    return sorted(defined, key=lambda part: part.scores[metric.name], reverse=not metric.higher_is_better)


class Evaluation(Record):
    """Outcome of `evaluate`: every contender on the same rows.

    rows_sha256: digest of unit names, timestamps and targets that were scored
    contenders: "candidate", "champion" where there is one, and baselines -> metric -> Score
    versus_champion: paired difference candidate - champion by metric; empty without a champion
    robustness: perturbation -> headline metric of the candidate
    """

    candidate: str
    champion: Champion
    data: str
    rows: int
    rows_sha256: str
    headline: Metric
    contenders: Mapping[str, Mapping[str, Score]]
    versus_champion: Mapping[str, Score] = {}
    slices: tuple[Slice, ...] = ()
    robustness: Mapping[str, Score] = {}
