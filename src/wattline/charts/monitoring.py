"""Picture of how far production is from what the model was trained on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline.charts.canvas import ALARM, CANDIDATE, OTHER, bare, figure, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 40


def drift(
    distances: Mapping[str, tuple[float, float, bool]],
    scores: tuple[NDArray[np.floating], NDArray[np.floating]],
    *,
    unit: str,
    title: str,
) -> bytes:
    """Columns by their distance from the reference, and the distribution of scores beside that of the reference.

    distances: column -> distance, its limit, whether it drifted
    scores: those served and those of the reference, in `unit`
    """
    shown = min(len(distances), SHOWN)
    made = figure(height=2.8 + 0.22 * max(shown, 1))
    above, below = made.subplots(2, 1, height_ratios=[max(1.0, 0.22 * shown), 2.0])
    for axes in (above, below):
        bare(axes)
    bars(above, distances)
    above.set_title(title, loc="left")
    for values, name, color in zip(scores, ("served", "reference"), (CANDIDATE, OTHER), strict=True):
        known = np.sort(values[np.isfinite(values)])
        if len(known):
            below.plot(known, np.linspace(0, 100, len(known)), color=color, label=f"{name}, {len(known):,}")
    below.set_xlabel(f"score [{unit}]")
    below.set_ylabel("share of answers [%]")
    if below.get_legend_handles_labels()[0]:
        below.legend()
    return png(made)


def bars(axes: "Axes", distances: Mapping[str, tuple[float, float, bool]]) -> None:
    """The columns that are furthest from the reference, beside their limits."""
    worst = sorted(distances.items(), key=lambda one: one[1][0] - one[1][1])[-SHOWN:]
    for place, (_, (distance, limit, drifted)) in enumerate(worst):
        axes.barh(place, distance, color=ALARM if drifted else OTHER, height=0.65)
        axes.plot([limit, limit], [place - 0.4, place + 0.4], color="black", linewidth=1.2)
    axes.set_yticks(range(len(worst)), [name for name, _ in worst])
    axes.set_xlabel("largest difference of the distribution functions [1]; line: limit")
