"""Section of the card about the energy test: what a prediction costs beside the champion's, and at equal quality."""

import math

from wattline.energy import pareto
from wattline.records import Decision, EnergyFindings, Judgement, Measurement, Pareto, Performance, Point
from wattline.supply.card.markdown import table

UNTESTED = "The samples of no energy test are in the measurement, so that only the budgets were judged."
FIRST = "There was no champion: the candidate was tested alone."


def energy_test(decision: Decision, measurement: Measurement, pictures: str) -> list[str]:
    """Ratio to the champion with its interval, margin, control and idle share; then the Pareto front."""
    found = decision.energy
    if found is None:
        return [UNTESTED]
    return [*_tested(found, measurement, pictures), *_beside(found.pareto, pictures)]


def _tested(found: EnergyFindings, measurement: Measurement, pictures: str) -> list[str]:
    if found.test is None:
        return [UNTESTED]
    judgement = found.test
    values = {
        "answer": f"**{judgement.outcome}**: {judgement.reason}",
        "energy of the candidate / champion": _ratio(judgement.ratio, judgement.interval)
        if found.champion is not None
        else FIRST,
        "margin": f"{1 + found.margin:.4g}: the candidate may take {found.margin:.0%} more",
        "control, one contender against itself": _ratio(judgement.control_ratio, judgement.control_interval),
        "blocks of four samples": _blocks(judgement),
        "idle power in what was read": _idle(measurement),
    }
    rows = [[name, value] for name, value in values.items()]
    picture = f"![Energy test: ratio of each block, and joules]({pictures}/measure/energy.png)"
    return [*table(["energy test", "value"], rows), "", picture]


def _blocks(judgement: Judgement) -> str:
    needed = judgement.blocks_needed
    return f"{judgement.blocks} pairs" + (f"; the declared power asks for {needed}" if needed else "")


def _ratio(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{value:.4f} [{low:.4f}, {high:.4f}]" if math.isfinite(value) else "-"


def _idle(measurement: Measurement) -> str:
    named = [("candidate", measurement.candidate), ("champion", measurement.champion)]
    shares = [_share(name, performance) for name, performance in named if performance is not None]
    return ", ".join(shares) + "; it is taken off"


def _share(name: str, performance: Performance) -> str:
    share = performance.idle_share
    return f"{name} {share:.0%}" if math.isfinite(share) else f"{name} unknown"


def _beside(found: Pareto | None, pictures: str) -> list[str]:
    """Every model that the candidate was set beside. What cannot be compared is there, and says so."""
    if found is None:
        return []
    front = pareto.front(found.points, found.headline)
    rows = [_row(one, is_on_front=one in front) for one in found.points]
    return [
        "",
        f"Energy at equal quality: {pareto.sentence(found)}. Baselines are Python as the task computes them, and no "
        "graphs.",
        "",
        *table(["model", found.headline.name, "J per 1,000 predictions", "provenance", "front"], rows),
        "",
        f"![Energy against {found.headline.name}]({pictures}/decide/pareto.png)",
    ]


def _row(point: Point, *, is_on_front: bool) -> list[str]:
    low, high = point.interval
    place = "yes" if is_on_front else "no" if point.comparable else "other rows, sensor or machine"
    energy = f"{point.joules_per_1000:.3g} [{low:.3g}, {high:.3g}]"
    return [point.name, f"{point.score:.4g}", energy, point.provenance, place]
