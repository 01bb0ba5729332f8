"""Contenders on identical rows: metrics by unit, their means with intervals, differences and slices."""

import hashlib
from collections.abc import Mapping

import numpy as np

from wattline import intervals
from wattline.records import Score, Slice
from wattline.task import Predictor, Split, Task

UnitScores = Mapping[str, Mapping[str, float]]
"""Unit -> metric -> value."""


def score_units(answer: Predictor, test: Split, task: Task, *, cadence_seconds: float) -> UnitScores:
    """Metrics of one contender, unit by unit, so that only one unit's answers are in memory."""
    return {
        unit: task.score(series.judged(), answer(series), cadence_seconds=cadence_seconds)
        for unit, series in test.items()
    }


def summary(scores: UnitScores, *, resamples: int, seed: int) -> dict[str, Score]:
    """Mean over units with its interval, for each metric."""
    names = next(iter(scores.values()))
    return {
        name: intervals.bootstrap_mean([unit[name] for unit in scores.values()], resamples=resamples, seed=seed)
        for name in names
    }


def versus(results: Mapping[str, UnitScores], *, resamples: int, seed: int) -> dict[str, Score]:
    """Paired difference candidate - champion for each metric; empty without a champion."""
    if "champion" not in results:
        return {}
    candidate, champion = results["candidate"], results["champion"]
    return {
        name: intervals.paired_difference(
            [unit[name] for unit in candidate.values()],
            [unit[name] for unit in champion.values()],
            resamples=resamples,
            seed=seed,
        )
        for name in next(iter(candidate.values()))
    }


def slices(scores: UnitScores, test: Split) -> tuple[Slice, ...]:
    """Candidate's scores by unit and by group; a group's score is the mean over its units where it is defined."""
    units = tuple(
        Slice(kind="unit", name=unit, rows=len(test[unit]), scores=dict(values)) for unit, values in scores.items()
    )
    groups: dict[str, list[Slice]] = {}
    for unit in units:
        groups.setdefault(test[unit.name].group, []).append(unit)
    return units + tuple(_merge(group, members) for group, members in sorted(groups.items()))


def _merge(group: str, members: list[Slice]) -> Slice:
    means = {}
    for name in members[0].scores:
        defined = [member.scores[name] for member in members if np.isfinite(member.scores[name])]
        means[name] = float(np.mean(defined)) if defined else float("nan")
    return Slice(kind="group", name=group, rows=sum(member.rows for member in members), scores=means)


def rows_digest(test: Split) -> str:
    """Digest of which rows were judged, and against what."""
    digest = hashlib.sha256()
    for unit, series in test.items():
        rows = series.judged()
        digest.update(unit.encode() + rows.timestamps.tobytes() + rows.target.tobytes())
    return digest.hexdigest()
