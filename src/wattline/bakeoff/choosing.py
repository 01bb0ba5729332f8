"""The choice: a pure function of figures and rule, whatever the order in which models are named."""

import math
from collections.abc import Iterable, Iterator, Sequence

from wattline.bakeoff.record import Choice, Entrant, Provenance
from wattline.energy import pareto as plane
from wattline.errors import InputError
from wattline.gates.scores import comparison, pessimistic, reaches
from wattline.params import RuleParams
from wattline.records import Energy, Metric, Performance, Point, Score

Figures = tuple[Score, Performance]


def choose(entrants: Sequence[Entrant], rule: RuleParams, *, headline: Metric, evidence: Provenance) -> Choice:
    """Hold every entrant against the rule, and rank those that meet it.

    Bounds are met by the worse end of an interval, the ranking is by values. Equal values are ranked by the other one
    of score and energy, then by p99 latency, then by name.
    evidence: the weakest kind of energy that is accepted
    Raises InputError when a name is there twice, or energies were read from different sensors.
    """
    _check_comparable(entrants)
    obstacles = {entrant.name: obstacle(entrant, rule, headline=headline, evidence=evidence) for entrant in entrants}
    meeting = [entrant for entrant in entrants if obstacles[entrant.name] is None]
    ranked = tuple(entrant.name for entrant in ordered(meeting, rule, headline=headline))
    name = ranked[0] if ranked else None
    return Choice(
        name=name,
        ranked=ranked,
        obstacles={one: why for one, why in sorted(obstacles.items()) if why is not None},
        front=tuple(point.name for point in plane.front(points(entrants), headline)),
        reason=f"{name}: {sentence(rule, headline=headline)}" if name else f"no model meets the rule: {wanted(rule)}",
    )


def listed(entrants: Sequence[Entrant], choice: Choice, rule: RuleParams, *, headline: Metric) -> tuple[Entrant, ...]:
    """Best first, then those that do not meet the rule, then those without sound figures."""
    best_first = ordered(entrants, rule, headline=headline)
    return tuple(sorted(best_first, key=lambda one: (figures(one) is None, one.name in choice.obstacles)))


def obstacle(entrant: Entrant, rule: RuleParams, *, headline: Metric, evidence: Provenance) -> str | None:
    """Why an entrant does not meet the rule, in one sentence; None where it does."""
    if entrant.failure is not None:
        return entrant.failure
    if entrant.headline is None or not _is_sound(entrant.headline):
        return f"its {headline.name} is {entrant.headline or 'undefined'}, which is no figure to choose by"
    if entrant.performance is None or not _has_counted(entrant.performance.energy_per_1000):
        return "the meter did not count its energy"
    if evidence == "measured" and entrant.performance.energy_per_1000.provenance != "measured":
        return "its energy is only estimated, and gates.energy.evidence demands a measurement"
    return next(_exceeded(entrant.headline, entrant.performance, rule, headline), None)


def _exceeded(score: Score, cost: Performance, rule: RuleParams, headline: Metric) -> Iterator[str]:
    """Bounds of the rule that are not met."""
    p99, high, worst = cost.latency_p99_ms, cost.energy_per_1000.interval[1], pessimistic(score, headline)
    if rule.latency_p99_ms is not None and not p99 <= rule.latency_p99_ms:
        yield f"p99 latency {p99:.4g} ms > {rule.latency_p99_ms:.4g} ms"
    if rule.budget_joules is not None and not high <= rule.budget_joules:
        yield f"{high:.4g} J > {rule.budget_joules:.4g} J per 1,000 predictions: upper bound of energy"
    if rule.floor is not None and not reaches(worst, rule.floor, headline):
        yield f"{comparison(worst, rule.floor, headline)}: worse bound of {score}"


def ordered(entrants: Iterable[Entrant], rule: RuleParams, *, headline: Metric) -> list[Entrant]:
    """Best first by the rule; those without sound figures last."""

    def key(entrant: Entrant) -> tuple[bool, float, float, float, str]:
        found = figures(entrant)
        if found is None:
            return True, 0.0, 0.0, 0.0, entrant.name
        score, performance = found
        lost = -score.value if headline.higher_is_better else score.value
        spent = performance.energy_per_1000.joules
        first, second = (lost, spent) if rule.choose == "accuracy" else (spent, lost)
        return False, first, second, performance.latency_p99_ms, entrant.name

    return sorted(entrants, key=key)


def figures(entrant: Entrant) -> Figures | None:
    """Score and cost of an entrant, if both are figures that can be compared."""
    score, performance = entrant.headline, entrant.performance
    if entrant.failure is not None or score is None or performance is None:
        return None
    return (score, performance) if _is_sound(score) and _has_counted(performance.energy_per_1000) else None


def points(entrants: Sequence[Entrant], *, chosen: str | None = None) -> tuple[Point, ...]:
    """Those with figures in the plane of energy and quality, in the order of their names."""
    return tuple(
        Point(
            name=entrant.name,
            kind="chosen" if entrant.name == chosen else "model",
            score=found[0].value,
            joules_per_1000=found[1].energy_per_1000.joules,
            interval=found[1].energy_per_1000.interval,
            provenance=found[1].energy_per_1000.provenance,
        )
        for entrant in sorted(entrants, key=lambda one: one.name)
        if (found := figures(entrant)) is not None
    )


def wanted(rule: RuleParams) -> str:
    """The bounds of a rule, in words."""
    bounds = []
    if rule.budget_joules is not None:
        bounds.append(f"at most {rule.budget_joules:.4g} J per 1,000 predictions")
    if rule.floor is not None:
        bounds.append(f"a headline that reaches {rule.floor:.4g}")
    if rule.latency_p99_ms is not None:
        bounds.append(f"a p99 latency of at most {rule.latency_p99_ms:.4g} ms")
    return " and ".join(bounds)


def sentence(rule: RuleParams, *, headline: Metric) -> str:
    """A rule in words."""
    best = f"best {headline.name}" if rule.choose == "accuracy" else "least energy"
    return f"{best} among those with {wanted(rule)}"


def _check_comparable(entrants: Sequence[Entrant]) -> None:
    names = [entrant.name for entrant in entrants]
    if len(set(names)) != len(names):
        raise InputError(f"a model is there twice among {', '.join(names)}; name each once")
    sensors = {
        f"{spent.provenance} by {spent.sensor}"
        for entrant in entrants
        if entrant.performance is not None
        for spent in [entrant.performance.energy_per_1000]
    }
    if len(sensors) > 1:
        raise InputError(
            f"energies are {' and '.join(sorted(sensors))}: they cannot be compared; run the bake-off again"
        )


def _is_sound(score: Score) -> bool:
    return (
        score.units > 0
        and math.isfinite(score.value)
        and math.isfinite(score.low)
        and score.low <= score.high < math.inf
    )


def _has_counted(energy: Energy) -> bool:
    low, high = energy.interval
    return energy.joules > 0 and energy.seconds > 0 and low <= energy.joules <= high < math.inf
