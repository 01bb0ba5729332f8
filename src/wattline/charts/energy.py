"""Picture of the energy test: what each block says, what follows from all, and how much of it is idle power."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattline.charts.canvas import ALARM, CANDIDATE, GOOD, OTHER, bare, figure, png
from wattline.records import EnergyTest, Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IDLE = "#d5dae0"
COLOURS = {"PASS": GOOD, "FAIL": ALARM, "REFUSE": "#a66300"}
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
"""Behind text, so that no line runs through it."""
FURTHEST = 20.0
"""Ratios beyond it, or below its inverse, are drawn at the edge: no axis holds them and the rest."""
LINE = 105
"""Characters of a title's line."""


class Cost(NamedTuple):
    """What 1,000 predictions of one contender took, and what the machine would have taken without them [J]."""

    net: float
    idle: float


def energy_test(
    test: EnergyTest,
    judgement: Judgement,
    *,
    margin: float,
    ratios: Mapping[str, Sequence[float]],
    costs: Mapping[str, Cost],
) -> bytes:
    """Ratio of each block and their mean beside the margin; joules of both contenders beside it.

    margin: what the candidate may cost more, as a share
    ratios: "pair" and "control" -> ratio of each block, without idle power
    costs: contender -> what 1,000 predictions took
    """
    rows = _rows(judgement, ratios)
    made = figure(height=3.7)
    left, right = made.subplots(1, 2, width_ratios=[1.8, 1])
    title = _title(judgement, margin=margin, alone=not ratios.get("pair"))
    made.suptitle(title, x=0.01, ha="left", fontsize=11.5, color=COLOURS[judgement.outcome])
    _draw_ratios(left, rows, margin=margin)
    _draw_costs(right, costs, provenance=test.sensor.provenance)
    sensor = f"{test.sensor.provenance} by {test.sensor.sensor}; {_work(test)}"
    made.supxlabel(
        textwrap.fill(sensor, 150, max_lines=2, placeholder=" ..."), x=0.01, ha="left", fontsize=8, color="#555555"
    )
    return png(made)


class Row(NamedTuple):
    """One line of the left panel."""

    name: str
    points: Sequence[float]
    mean: float
    interval: tuple[float, float]
    colour: str


def _rows(judgement: Judgement, ratios: Mapping[str, Sequence[float]]) -> list[Row]:
    control = judgement.control_ratio, judgement.control_interval
    pairs, controls = ratios.get("pair", ()), ratios.get("control", ())
    who = "champion / champion" if pairs else "candidate / candidate"
    rows = [Row(f"control\n{who}", controls, *control, "#6b7683")]
    if pairs:
        rows.append(Row("candidate /\nchampion", pairs, judgement.ratio, judgement.interval, CANDIDATE))
    return rows


def _title(judgement: Judgement, *, margin: float, alone: bool) -> str:
    low, high = (_share(bound) for bound in judgement.interval)
    limit = f"margin {margin:+.0%}"
    if judgement.outcome == "REFUSE":
        words = f"REFUSE: {judgement.reason}"
    elif alone:
        words = "No champion yet: the candidate was measured alone, and there is nothing to compare it with"
    else:
        words = f"{judgement.outcome}: the candidate takes {_compared(judgement.ratio)} ({low} to {high}; {limit})"
    return "\n".join(textwrap.wrap(words, LINE, max_lines=2, placeholder=" ..."))


def _compared(ratio: float) -> str:
    change = ratio - 1
    return (
        f"{ratio:.1f} times the energy" if ratio > 2 else f"{abs(change):.1%} {'less' if change < 0 else 'more'} energy"
    )


def _share(ratio: float) -> str:
    return f"{ratio - 1:+.1%}" if ratio < FURTHEST else f"{_number(ratio)} times"


def _number(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < FURTHEST else f"{ratio:.3g}"


def _draw_ratios(axes: "Axes", rows: Sequence[Row], *, margin: float) -> None:
    """One line for each kind of block: a dot for each block, and their mean with its interval above the dots."""
    bare(axes)
    for place, row in enumerate(rows):
        points = np.clip(np.asarray([one for one in row.points if math.isfinite(one)]), 1 / FURTHEST, FURTHEST)
        heights = place - 0.16 + 0.09 * ((np.arange(len(points)) % 3) - 1)
        axes.scatter(points, heights, s=24, color=row.colour, alpha=0.6, linewidths=0, zorder=3)
        if math.isfinite(row.mean):
            low, high = np.clip(row.interval, 1 / FURTHEST, FURTHEST) if _finite(row.interval) else (row.mean, row.mean)
            axes.plot([low, high], [place + 0.16] * 2, color="black", linewidth=2.2, solid_capstyle="butt", zorder=4)
            axes.plot(row.mean, place + 0.16, marker="D", color="black", markersize=6, zorder=5)
            text = f"{_number(row.mean)} [{_number(row.interval[0])}, {_number(row.interval[1])}]"
            axes.annotate(text, (row.mean, place + 0.24), ha="center", va="bottom", fontsize=8, bbox=PAPER)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=9)
    axes.set_ylim(-0.5, len(rows) - 0.3)
    _draw_limits(axes, margin=margin)
    axes.set_xlabel("ratio of energy without idle power; dot: one block, diamond: mean and interval", fontsize=8.5)


def _draw_limits(axes: "Axes", *, margin: float) -> None:
    """Where both cost the same, and what the candidate may cost; beyond that it is red."""
    low, high = axes.get_xlim() if axes.collections and axes.dataLim.width > 0 else (1.0, 1.0)
    low, high = min(low, 1 - margin / 2), max(high, 1 + 1.6 * margin)
    axes.set_xlim(low, high)
    axes.axvline(1, color="black", linewidth=1, zorder=2)
    axes.axvline(1 + margin, color=ALARM, linewidth=1.5, linestyle="--", zorder=2)
    axes.axvspan(1 + margin, high, color=ALARM, alpha=0.08, linewidth=0, zorder=0)
    top = axes.get_xaxis_transform()
    close = margin < 0.12 * (high - low)
    axes.text(1, 1.01, "equal ", transform=top, fontsize=8, va="bottom", ha="right" if close else "center")
    axes.text(
        1 + margin,
        1.01,
        f"margin {margin:+.0%}",
        transform=top,
        fontsize=8,
        va="bottom",
        ha="left" if close else "center",
        color=ALARM,
    )


def _draw_costs(axes: "Axes", costs: Mapping[str, Cost], *, provenance: str) -> None:
    """A bar for each contender: what its answers took, and the idle power of that time."""
    bare(axes)
    names = list(costs)[::-1]
    for place, name in enumerate(names):
        net, idle = _shown(costs[name])
        axes.barh(place, net, color=CANDIDATE if name == "candidate" else OTHER, height=0.5)
        axes.barh(place, idle, left=net, color=IDLE, height=0.5, hatch="///", edgecolor="white", linewidth=0)
        share = idle / (net + idle) if net + idle else math.nan
        told = f"{net:.3g} J" + (f" + {idle:.3g} J idle ({share:.0%})" if idle else ", no idle power read")
        axes.annotate(told, (0, place + 0.3), fontsize=8, va="bottom", xytext=(2, 0), textcoords="offset points")
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(-0.5, len(names) - 0.3)
    axes.set_xlim(0, 1.15 * max([sum(_shown(cost)) for cost in costs.values()], default=1) or 1)
    axes.set_xlabel(f"J per 1,000 predictions, {provenance}", fontsize=8.5)
    if not names:
        axes.set_xticks([])
    if any(cost.idle > 0 for cost in costs.values()):
        axes.set_title("hatched: idle power of that time", fontsize=8, loc="left")


def _shown(cost: Cost) -> Cost:
    """The lengths of a bar: nothing for what is no figure."""
    return Cost(*(max(0.0, part) if math.isfinite(part) else 0.0 for part in cost))


def _work(test: EnergyTest) -> str:
    requests = test.requests
    blocks = sum(block.kind == "pair" for block in test.blocks), sum(block.kind == "control" for block in test.blocks)
    return f"{blocks[0]} pairs and {blocks[1]} controls of 4 samples, {requests.predictions:,} predictions each"


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))
