"""Energy at equal quality: the candidate beside every earlier version and the baselines. It decides nothing.

A point is on the front when no other is at least as good for at most as much energy, and better in one of the two
(V. Pareto). Only comparable points are held against each other: same test rows, same sensor, same kind of machine.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from wattline.records import (
    Earlier,
    EarlierVersion,
    Energy,
    Evaluation,
    Measurement,
    Metric,
    Pareto,
    Performance,
    Point,
)

Kind = Literal["candidate", "version", "baseline"]

CANDIDATE, CHAMPION = "candidate", "champion"


def pareto(evaluation: Evaluation, measurement: Measurement, earlier: Earlier | None = None) -> Pareto | None:
    """All points that there are. None where the evaluation or the measurement is not about one candidate.

    The champion's figures are those of today's session, not those that it was registered with.
    """
    if evaluation.candidate != measurement.candidate.digest or CANDIDATE not in evaluation.contenders:
        return None
    points = (
        _performed(CANDIDATE, "candidate", evaluation, measurement.candidate),
        *_champion(evaluation, measurement),
        *_versions(evaluation, measurement, earlier or Earlier()),
        *_baselines(evaluation, measurement),
    )
    return Pareto(headline=evaluation.headline, points=points)


def front(points: Sequence[Point], headline: Metric) -> tuple[Point, ...]:
    """Those that no other dominates, the least energy first. Points that cannot be compared are on no front."""
    found = [one for one in points if comparable(one) and not dominated_by(one, points, headline)]
    return tuple(sorted(found, key=lambda one: (one.joules_per_1000, one.name)))


def dominated_by(point: Point, points: Sequence[Point], headline: Metric) -> tuple[Point, ...]:
    """Those that are at least as good for at most as much energy, and better in one, the least energy first."""
    found = [other for other in points if comparable(other) and _dominates(other, point, headline)]
    return tuple(sorted(found, key=lambda one: (one.joules_per_1000, one.name)))


def at_equal_quality(point: Point, points: Sequence[Point], headline: Metric) -> Point:
    """The one with the least energy among those at least as good as `point`: itself, where no other needs less."""
    found = [other for other in points if comparable(other) and _as_good(other, point, headline)]
    return min([point, *found], key=lambda one: one.joules_per_1000)


def comparable(point: Point) -> bool:
    """Whether it can be held against others at all."""
    return point.comparable and math.isfinite(point.score) and math.isfinite(point.joules_per_1000)


def sentence(pareto: Pareto) -> str:
    """Where the candidate stands, for a person, e.g. "on the Pareto front of 4 models"."""
    candidate, *others = pareto.points
    if not comparable(candidate):
        return "no Pareto point: the candidate has no score or no energy"
    compared = [one for one in others if comparable(one)]
    if not compared:
        return "no Pareto front: there is no other model that it can be compared with"
    dominating = dominated_by(candidate, compared, pareto.headline)
    if not dominating:
        return f"on the Pareto front of {len(compared) + 1} models: none is as good for less energy"
    best = at_equal_quality(candidate, dominating, pareto.headline)
    # One that costs the same and is better dominates too, and needs no less energy.
    best = best if best is not candidate else dominating[0]
    doubt = ", though their intervals overlap" if _overlap(best, candidate) else ""
    return (
        f"not on the Pareto front of {len(compared) + 1} models: {best.name} has {pareto.headline.name} "
        f"{best.score:.4g} for {best.joules_per_1000:.3g} J, the candidate {candidate.score:.4g} for "
        f"{candidate.joules_per_1000:.3g} J per 1,000 predictions{doubt}"
    )


def _overlap(one: Point, other: Point) -> bool:
    return one.interval[0] <= other.interval[1] and other.interval[0] <= one.interval[1]


def _dominates(one: Point, other: Point, headline: Metric) -> bool:
    no_dearer = one.joules_per_1000 <= other.joules_per_1000
    better = one.joules_per_1000 < other.joules_per_1000 or one.score != other.score
    return _as_good(one, other, headline) and no_dearer and better


def _as_good(one: Point, other: Point, headline: Metric) -> bool:
    return one.score >= other.score if headline.higher_is_better else one.score <= other.score


def _performed(name: str, contender: str, evaluation: Evaluation, found: Performance) -> Point:
    kind: Kind = "candidate" if contender == CANDIDATE else "version"
    return _point(name, kind, score=_score(evaluation, contender), energy=found.energy_per_1000)


def _champion(evaluation: Evaluation, measurement: Measurement) -> Iterator[Point]:
    found, version = measurement.champion, evaluation.champion.version
    if found is not None and version is not None and found.digest == evaluation.champion.digest:
        yield _performed(f"version {version}", CHAMPION, evaluation, found)


def _versions(evaluation: Evaluation, measurement: Measurement, earlier: Earlier) -> Iterator[Point]:
    """Those that are neither the candidate, registered before, nor the champion, which was measured anew."""
    known = {evaluation.candidate, evaluation.champion.digest}
    for one in earlier.versions:
        if one.digest not in known:
            name, same = f"version {one.version}", _same_conditions(one, evaluation, measurement)
            yield _point(name, "version", score=one.score, energy=one.energy_per_1000, comparable=same)


def _same_conditions(one: EarlierVersion, evaluation: Evaluation, measurement: Measurement) -> bool:
    """Two sites may describe their machines in the same words: what was imported was measured elsewhere."""
    now = measurement.candidate
    return (
        one.origin is None
        and (one.metric, one.rows_sha256) == (evaluation.headline.name, evaluation.rows_sha256)
        and (one.machine, one.batch) == (measurement.machine, now.batch)
        and _same_reading(one.energy_per_1000, now.energy_per_1000)
    )


def _baselines(evaluation: Evaluation, measurement: Measurement) -> Iterator[Point]:
    """Those that were both scored and measured. They are Python, and no graphs: their names say so."""
    for name, energy in measurement.baselines.items():
        if name in evaluation.contenders and name not in (CANDIDATE, CHAMPION):
            score, same = _score(evaluation, name), _same_reading(energy, measurement.candidate.energy_per_1000)
            yield _point(f"{name} (Python)", "baseline", score=score, energy=energy, comparable=same)


def _same_reading(one: Energy, other: Energy) -> bool:
    return (one.sensor, one.boundary, one.provenance) == (other.sensor, other.boundary, other.provenance)


def _score(evaluation: Evaluation, contender: str) -> float:
    found = evaluation.contenders.get(contender, {}).get(evaluation.headline.name)
    return found.value if found is not None else math.nan


def _point(name: str, kind: Kind, *, score: float, energy: Energy, comparable: bool = True) -> Point:
    return Point(
        name=name,
        kind=kind,
        score=score,
        joules_per_1000=energy.joules,
        interval=energy.interval,
        provenance=energy.provenance,
        comparable=comparable,
    )
