"""The plots of a run, each with what it shows in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattline import files
from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import html
from wattline.gitlab.site.figures import joules, number, score
from wattline.records import Decision, Evaluation, Measurement, Validation


@dataclass(frozen=True)
class Plot:
    """One picture. title: what it says; shows: what is drawn"""

    path: Path
    title: str
    shows: str


def plots(left: Left) -> list[Plot]:
    """Pictures that stages of this run have drawn, in the order of the pipeline."""
    stages = dict.fromkeys(one.stage for one in left.reports if one.state == "current")
    return [_described(path, left) for stage in stages for path in sorted((files.REPORTS / stage).glob("*.png"))]


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
    validation = left.current("validate", Validation)
    if validation is not None:
        rows = f"{validation.rows:,} rows of {validation.units} units"
        yield "profile/overview", f"What was recorded: {rows}", f"Every column over time, of {rows}"
    if (evaluation := left.current("evaluate", Evaluation)) is not None:
        yield from _quality(evaluation)
    if (measurement := left.current("measure", Measurement)) is not None:
        yield from _cost(measurement)
    decision = left.current("decide", Decision)
    if decision is not None and decision.energy is not None and decision.energy.pareto is not None:
        pareto = decision.energy.pareto
        points = "; ".join(
            f"{one.name} {number(one.score)} for {number(one.joules_per_1000)} J ({one.provenance})"
            for one in pareto.points
        )
        title = f"{pareto.headline.name} against the energy of 1,000 predictions"
        yield "decide/pareto", title, f"{title}: {points}"


def _quality(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    name = evaluation.headline.name
    said = "; ".join(f"{who} {score(scores[name])}" for who, scores in evaluation.contenders.items() if name in scores)
    yield "evaluate/contenders", f"{name} of every contender on the same rows", f"{name} with intervals: {said}"
    groups = [one for one in evaluation.slices if one.kind == "group"]
    yield (
        "evaluate/slices",
        f"{name} of each unit: where the candidate is weak",
        f"{name} by unit, of {len(groups)} groups",
    )
    for place in ("best", "worst"):
        yield (
            f"evaluate/{place}_unit",
            f"The unit with the {place} {name}: score, threshold and labels over time",
            f"Score of the candidate over time on the unit with the {place} {name}",
        )


def _cost(measurement: Measurement) -> Iterator[tuple[str, str, str]]:
    one = measurement.candidate
    p50, p99 = number(one.latency_p50_ms), number(one.latency_p99_ms)
    said = f"p50 {p50} ms, p99 {p99} ms on {measurement.machine}"
    yield (
        "measure/latency",
        "How long one window takes, measured",
        f"Distribution of latencies of the candidate: {said}",
    )
    energy = one.energy_per_1000
    said = f"{joules(energy)} for 1,000 predictions of the candidate, {energy.provenance}"
    yield "measure/energy", f"The energy test, block by block: {energy.provenance}", f"Ratio of each block; {said}"
