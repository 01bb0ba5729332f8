"""Picture of how far production is from what the model was trained on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wattline.charts.canvas import ALARM, CANDIDATE, OTHER, bare, figure, png

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
    worst = sorted(distances.items(), key=lambda one: one[1][0] - one[1][1])[-SHOWN:]
    made = figure(height=2.8 + 0.22 * max(len(worst), 1))
    above, below = made.subplots(2, 1, height_ratios=[max(1.0, 0.22 * len(worst)), 2.0])
    for axes in (above, below):
        bare(axes)
    for place, (_, (distance, limit, drifted)) in enumerate(worst):
        above.barh(place, distance, color=ALARM if drifted else OTHER, height=0.65)
        above.plot([limit, limit], [place - 0.4, place + 0.4], color="black", linewidth=1.2)
    above.set_yticks(range(len(worst)), [name for name, _ in worst])
    above.set_xlabel("largest difference of the distribution functions [1]; line: limit")
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
