"""Picture of a sweep: the objective of every trial in order, and the best one so far."""

import textwrap
from collections.abc import Sequence

from wattline.charts.canvas import ALARM, CANDIDATE, GOOD, OTHER, canvas, png

LINE = 105


def history(points: Sequence[tuple[int, float, str]], *, label: str, higher_is_better: bool, title: str) -> bytes:
    """Trials by number, in one picture.

    points: (number of the trial, objective, state), a state being COMPLETE or PRUNED; 0 is the default
    label: name and unit of the objective
    """
    from matplotlib.ticker import MaxNLocator

    made, axes = canvas(height=3.8)
    done = [point for point in points if point[1] is not None]
    for state, mark, colour, said in (
        ("COMPLETE", "o", CANDIDATE, "completed"),
        ("PRUNED", "x", OTHER, "given up early: its last figure"),
    ):
        some = [point for point in done if point[2] == state]
        if some:
            axes.scatter([one[0] for one in some], [one[1] for one in some], marker=mark, color=colour, label=said)
    complete = sorted(point for point in done if point[2] == "COMPLETE")
    if complete:
        choose, best = (max if higher_is_better else min), complete[0][1]
        line = []
        for _, value, _ in complete:
            best = choose(best, value)
            line.append(best)
        axes.step([one[0] for one in complete], line, where="post", color=GOOD, linewidth=1.5, label="best so far")
    if complete and complete[0][0] == 0:
        axes.axhline(complete[0][1], color=ALARM, linewidth=1.2, linestyle=":", label="default (trial 0)")
    axes.set_xlabel("trial [number]")
    axes.set_ylabel(f"{label},\n{'higher' if higher_is_better else 'lower'} is better")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("\n".join(textwrap.wrap(title, LINE)), loc="left", fontsize=10.5)
    if done:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, fontsize=8, frameon=False)
    return png(made)
