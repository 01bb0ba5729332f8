"""Picture of what moved between two datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline.charts.canvas import CANDIDATE, OTHER, bare, figure, png
from wattline.charts.monitoring import SHOWN, bars

SIDE_BY_SIDE = 3
POINTS = 400
"""Values of each line: quantiles, evenly spread over the middle 99 %, so that one spike does not hide the rest."""


@dataclass(frozen=True)
class Moved:
    """Values of one column in both datasets, in `unit`; NaN where one is missing."""

    name: str
    unit: str
    reference: NDArray[np.floating]
    current: NDArray[np.floating]


def moved(distances: Mapping[str, tuple[float, float, bool]], columns: Sequence[Moved], *, title: str) -> bytes:
    """All columns by their distance from the reference, and the distributions of those that moved most.

    distances: column -> distance, its limit, whether it drifted
    """
    lines = -(-len(columns) // SIDE_BY_SIDE)
    upper = max(1.2, 0.22 * min(len(distances), SHOWN))
    made = figure(height=1.6 + upper + 2.2 * lines)
    grid = made.add_gridspec(1 + lines, SIDE_BY_SIDE, height_ratios=[upper, *[2.0] * lines])
    above = made.add_subplot(grid[0, :])
    bare(above)
    bars(above, distances)
    above.set_title(title, loc="left")
    for place, column in enumerate(columns):
        axes = made.add_subplot(grid[1 + place // SIDE_BY_SIDE, place % SIDE_BY_SIDE])
        bare(axes)
        for values, name, color in ((column.current, "current", CANDIDATE), (column.reference, "reference", OTHER)):
            known = values[np.isfinite(values)]
            if len(known):
                levels = np.linspace(0.005, 0.995, POINTS)
                axes.plot(np.quantile(known, levels), levels * 100, color=color, label=name, linewidth=1.2)
        axes.set_xlabel(f"{column.name} [{column.unit}]", fontsize=8)
        axes.tick_params(labelsize=7)
        if place == 0:
            axes.set_ylabel("share of values\nbelow [%]", fontsize=8)
            axes.legend(fontsize=7, frameon=False)
    return png(made)
