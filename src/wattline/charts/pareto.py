"""Picture of energy against quality: one point for each model, and the front that no other model beats."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wattline.charts.canvas import ALARM, CANDIDATE, GOOD, OTHER, canvas, label, png
from wattline.records import Metric, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {"candidate": ("*", CANDIDATE, 210), "version": ("o", "#4f5b67", 48), "baseline": ("s", "#d9822b", 44)}
MARKS |= {"chosen": MARKS["candidate"], "model": MARKS["version"]}
NAMES = {
    "candidate": "candidate",
    "version": "registered version",
    "baseline": "baseline",
    "chosen": "chosen",
    "model": "other model",
}
EMPHASISED = ("candidate", "chosen")
MAXIMUM_NAMES = 14
"""With more points, only the candidate and those on the front are named."""
LINE = 105
CHARACTER = 7.0
"""Width of one in a name [pixels]."""


def pareto(
    points: Sequence[Point],
    front: Sequence[Point],
    headline: Metric,
    *,
    title: str,
    scores: Mapping[str, tuple[float, float]] | None = None,
    budget_joules: float | None = None,
    floor: float | None = None,
) -> bytes:
    """Every model by its energy [J per 1,000 predictions] and its score; those that cannot be compared are hollow.

    front: the points that no other is better than, the least energy first
    title: what it shows, in words
    scores: name of a point -> 95 % interval of its score, where it is to be drawn
    budget_joules, floor: limits of energy and score, where there are any
    """
    drawn = [one for one in points if math.isfinite(one.score) and math.isfinite(one.joules_per_1000)]
    made, axes = canvas(height=4.4)
    axes.set_xlabel(f"energy [J per 1,000 predictions], {_provenance(drawn)}, lower is better")
    axes.set_ylabel(label(headline))
    axes.set_title("\n".join(textwrap.wrap(title, LINE, max_lines=3, placeholder=" ...")), loc="left", fontsize=10.5)
    if _spread([one.joules_per_1000 for one in drawn] + [budget_joules or math.nan]) > 20:
        axes.set_xscale("log")
    for point in drawn:
        _draw(axes, point)
        if point.name in (scores or {}):
            _draw_score(axes, point, (scores or {})[point.name])
    _draw_limits(axes, budget_joules, floor)
    _draw_front(axes, front)
    axes.margins(x=0.12, y=0.14)
    if not headline.higher_is_better:
        axes.invert_yaxis()  # what is better is at the top, whatever the metric
    named = drawn if len(drawn) <= MAXIMUM_NAMES else [one for one in drawn if one.kind in EMPHASISED or one in front]
    made.draw_without_rendering()  # so that places on the page are known
    _name(axes, named)
    if drawn:
        _legend(axes, drawn)
    return png(made)


def _draw(axes: "Axes", point: Point) -> None:
    mark, colour, size = MARKS[point.kind]
    face = colour if point.comparable else "none"
    axes.scatter(point.joules_per_1000, point.score, marker=mark, s=size, facecolors=face, edgecolors=colour, zorder=3)
    low, high = point.interval
    if math.isfinite(low) and math.isfinite(high) and low > 0:
        axes.plot([low, high], [point.score] * 2, color=colour, linewidth=1.2, alpha=0.7, zorder=2)


def _draw_score(axes: "Axes", point: Point, interval: tuple[float, float]) -> None:
    colour = MARKS[point.kind][1]
    axes.plot([point.joules_per_1000] * 2, interval, color=colour, linewidth=1.2, alpha=0.7, zorder=2)


def _draw_limits(axes: "Axes", budget_joules: float | None, floor: float | None) -> None:
    if budget_joules is not None:
        axes.axvline(budget_joules, color=ALARM, linewidth=1.2, linestyle=":", label=f"budget {budget_joules:g} J")
    if floor is not None:
        axes.axhline(floor, color=ALARM, linewidth=1.2, linestyle=":", label=f"floor {floor:g}")


def _draw_front(axes: "Axes", front: Sequence[Point]) -> None:
    """Steps: at this energy, no model here is better."""
    energy, score = [one.joules_per_1000 for one in front], [one.score for one in front]
    if front:
        energy, score = [*energy, axes.get_xlim()[1]], [*score, score[-1]]  # whoever spends more has the last one, too
        axes.step(energy, score, where="post", color=GOOD, linewidth=1.5, linestyle="--", zorder=1, label="front")


def _name(axes: "Axes", points: Sequence[Point]) -> None:
    """Names beside the points, moved down where another one would lie over it."""
    taken: list[tuple[float, float, float]] = []
    places = {one.name: axes.transData.transform((one.joules_per_1000, one.score)) for one in points}
    for point in sorted(points, key=lambda one: -places[one.name][1]):
        x, y = places[point.name]
        left = x > axes.bbox.x1 - 130
        width = CHARACTER * len(point.name)
        start = x - 12 - width if left else x + 12
        lowered = y + 12  # above the steps, which go to the right
        while any(abs(lowered - at) < 15 and start < to and since < start + width for since, to, at in taken):
            lowered -= 3
        taken.append((start, start + width, lowered))
        axes.annotate(
            point.name,
            (point.joules_per_1000, point.score),
            xytext=(-8 if left else 8, (lowered - y) * 72 / axes.figure.dpi),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
            fontweight="bold" if point.kind in EMPHASISED else "normal",
        )


def _legend(axes: "Axes", drawn: Sequence[Point]) -> None:
    for kind, (mark, colour, _) in MARKS.items():
        if any(one.kind == kind for one in drawn):
            axes.scatter([], [], marker=mark, color=colour, label=NAMES[kind])
    if not all(one.comparable for one in drawn):
        axes.scatter(
            [], [], marker="o", facecolors="none", edgecolors=OTHER, label="hollow: other rows, sensor or machine"
        )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=5, fontsize=8, frameon=False)


def _provenance(points: Sequence[Point]) -> str:
    return " and ".join(sorted({one.provenance for one in points})) or "not known"


def _spread(energies: Sequence[float]) -> float:
    """The largest over the smallest; 1 where there are none above zero. What is not finite does not count."""
    values = [one for one in energies if math.isfinite(one)]
    return max(values) / min(values) if values and min(values) > 0 else 1.0
