"""The plots of a run, each with what it shows in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattline import files
from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import html
from wattline.gitlab.site.figures import joules, number, score
from wattline.records import (
    Decision,
    EnergyFindings,
    Evaluation,
    Measurement,
    Slice,
    Validation,
    worst_first,
)


@dataclass(frozen=True)
class Plot:
    """One picture. title: what it says; shows: what is drawn"""

    path: Path
    title: str
    shows: str

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


def plots(left: Left) -> list[Plot]:
    """Pictures that stages of this run have drawn, what decides first."""
    stages = dict.fromkeys(one.stage for one in left.reports if one.state == "current")
    found = [_described(path, left) for stage in stages for path in sorted((files.REPORTS / stage).glob("*.png"))]
    known = [name for name, _, _ in _known(left)]
    return sorted(found, key=lambda one: known.index(one.name) if one.name in known else len(known))


def gallery(left: Left) -> str:
    """All plots; nothing where there is none."""
    inner = "\n".join(html.picture(str(one.path), shows=one.shows, title=one.title) for one in plots(left))
    return f'<div class="plots">\n{inner}\n</div>' if inner else ""


def _described(path: Path, left: Left) -> Plot:
    stage, name = path.parent.name, path.stem
    for known, title, shows in _known(left):
        if known == f"{stage}/{name}":
            return Plot(path, title, shows)
    words = name.replace("_", " ")
    return Plot(path, f"{words}, drawn by stage {stage}", f"Plot {words} of stage {stage}")


def _known(left: Left) -> Iterator[tuple[str, str, str]]:
    """Plot, its title and its words, of those that the platform draws."""
    if (evaluation := left.current("evaluate", Evaluation)) is not None:
        yield from _quality(evaluation)
    if (measurement := left.current("measure", Measurement)) is not None:
        yield from _cost(measurement)
    if (decision := left.current("decide", Decision)) is not None and decision.energy is not None:
        yield from _energy(decision.energy)
    if (validation := left.current("validate", Validation)) is not None:
        rows = f"{validation.rows:,} rows of {validation.units} units"
        yield "profile/overview", f"What was recorded: {rows}", f"Every column over time, of {rows}"


def _quality(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    metric, contenders = evaluation.headline, evaluation.contenders
    name = metric.name
    said = [f"{who} {score(scores[name])}" for who, scores in contenders.items() if name in scores]
    title = f"{name} on the same {evaluation.rows:,} test rows: {', '.join(said[:2])}"
    yield "evaluate/contenders", title, f"{name} with intervals: {'; '.join(said)}"
    units = worst_first((one for one in evaluation.slices if one.kind == "unit"), metric)
    if not units:
        return
    worst, best = units[0], units[-1]
    title = f"{name} by unit, from {_at(worst, name)} to {_at(best, name)}"
    yield "evaluate/slices", title, f"{title}; {len(units)} units in which it is defined"
    for word, one in (("best", best), ("worst", worst)):
        title = f"The {word} unit, {_at(one, name)}: score, threshold and labels"
        yield f"evaluate/{word}_unit", title, f"Score of the candidate over time. {title}"


def _at(part: Slice, name: str) -> str:
    return f"{part.name} with {number(part.scores[name])}"


def _cost(measurement: Measurement) -> Iterator[tuple[str, str, str]]:
    one = measurement.candidate
    said = f"p50 {number(one.latency_p50_ms)} ms, p99 {number(one.latency_p99_ms)} ms on {measurement.machine}"
    title = f"99 of 100 windows take the candidate at most {number(one.latency_p99_ms)} ms, measured"
    yield "measure/latency", title, f"Distribution of latencies of the candidate: {said}"
    energy = one.energy_per_1000
    said = f"{joules(energy)} for 1,000 predictions of the candidate, {energy.provenance}"
    yield "measure/energy", f"The energy test, block by block: {said}", f"Ratio of each block, and joules: {said}"


def _energy(found: EnergyFindings) -> Iterator[tuple[str, str, str]]:
    if found.pareto is None:
        return
    pareto = found.pareto
    points = (
        f"{one.name} {number(one.score)} for {number(one.joules_per_1000)} J, {one.provenance}" for one in pareto.points
    )
    title = f"{pareto.headline.name} against the energy of 1,000 predictions, of {len(pareto.points)} models"
    yield "decide/pareto", title, f"{title}: {'; '.join(points)}"
