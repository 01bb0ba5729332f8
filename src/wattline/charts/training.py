"""Pictures of one training: its curves, and what answers cost beside each other."""

from collections.abc import Mapping, Sequence

from wattline.charts.canvas import CANDIDATE, OTHER, canvas, png
from wattline.records import Energy

COLOURS = (CANDIDATE, "#d9822b", "#2f7d4f", "#7a5195")


def curves(figures: Mapping[str, Sequence[float]], *, title: str) -> bytes:
    """Each figure by epoch. Their units are the task's own, so that the axis says whose they are."""
    made, axes = canvas(height=3.2)
    for place, (name, values) in enumerate(figures.items()):
        axes.plot(values, color=COLOURS[place % len(COLOURS)], marker=".", label=name)
    if all(value > 0 for values in figures.values() for value in values):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("value [as the task defines it]")
    axes.locator_params(axis="x", integer=True)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(title, loc="left")
    return png(made)


def costs(energies: Mapping[str, Energy], *, title: str) -> bytes:
    """Joules for 1,000 predictions of each contender with their 95 % intervals; hatched where they are estimates."""
    made, axes = canvas(height=0.45 * len(energies) + 1.5)
    for place, (name, energy) in enumerate(reversed(list(energies.items()))):
        estimated = energy.provenance == "estimated"
        color = CANDIDATE if name == "candidate" else OTHER
        axes.barh(place, energy.joules, color=color, height=0.6, hatch="///" if estimated else None, edgecolor="white")
        axes.plot(energy.interval, [place, place], color="black", linewidth=1.2)
        told = f" {energy.joules:.3g} J, {energy.provenance}"
        axes.annotate(told, (energy.interval[1], place), va="center", fontsize=8)
    axes.set_yticks(range(len(energies)), list(energies)[::-1])
    axes.set_xlabel("energy [J per 1,000 predictions]; hatched: an estimate is no measurement")
    axes.set_xlim(0, 1.3 * max([1e-12, *(one.interval[1] for one in energies.values())]))
    axes.set_title(title, loc="left")
    return png(made)
