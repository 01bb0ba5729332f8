"""Pictures of raw rows: when they were recorded, how their values are distributed, and one span of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattline.charts.canvas import ALARM, CANDIDATE, bare, canvas, figure, png
from wattline.records import Column

Span = tuple[np.datetime64, np.datetime64]
BINS = 60
ACROSS = 3
"""Histograms beside each other."""


def recorded(spans: Mapping[str, Sequence[Span]], gaps: Mapping[str, Sequence[Span]], *, title: str) -> bytes:
    """A line for each unit: when it was recorded, and when it should have been and was not [UTC]."""
    made, axes = canvas(height=0.22 * len(spans) + 1.6)
    for place, unit in enumerate(spans):
        axes.hlines([place] * len(spans[unit]), *_ends(spans[unit]), color=CANDIDATE, linewidth=5)
        axes.hlines([place] * len(gaps[unit]), *_ends(gaps[unit]), color=ALARM, linewidth=5)
    axes.set_yticks(range(len(spans)), list(spans), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("time [UTC]; red: rows that the cadence promises and that are absent")
    axes.set_title(title, loc="left")
    made.autofmt_xdate()
    return png(made)


def _ends(spans: Sequence[Span]) -> tuple[list[Any], list[Any]]:
    return [_moment(start) for start, _ in spans], [_moment(end) for _, end in spans]


def _moment(time: np.datetime64) -> Any:
    return time.astype("datetime64[ms]").astype(object)


def distributions(samples: Mapping[str, NDArray[np.floating]], columns: Sequence[Column], *, title: str) -> bytes:
    """Histogram of each of `columns`, in its unit.

    samples: column -> values, NaN where absent
    """
    deep = math.ceil(len(columns) / ACROSS)
    made = figure(height=1.9 * deep + 0.6)
    panels = made.subplots(deep, ACROSS, squeeze=False).ravel()
    for panel, column in zip(panels, columns, strict=False):
        bare(panel)
        values = samples[column.name][np.isfinite(samples[column.name])]
        if len(values):
            panel.hist(values.astype(np.float64), bins=BINS, color=CANDIDATE)
        panel.set_yscale("log", nonpositive="clip")
        panel.set_xlabel(f"{column.name} [{column.unit}]", fontsize=8)
        panel.set_ylabel("rows", fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in panels[len(columns) :]:
        panel.set_visible(False)
    made.suptitle(title, x=0.01, ha="left", fontsize=11)
    return png(made)


def span(
    times: NDArray[np.datetime64],
    values: NDArray[np.floating],
    columns: Sequence[Column],
    *,
    marked: Span,
    usual: Sequence[float],
    title: str,
) -> bytes:
    """Some columns over time, each in its unit, with one span marked.

    values: (rows, columns)
    usual: median of each column, drawn as a line
    """
    made = figure(height=1.5 * len(columns) + 1.0)
    panels = made.subplots(len(columns), 1, sharex=True, squeeze=False).ravel()
    moments = times.astype("datetime64[ms]").astype(object)
    for place, (panel, column) in enumerate(zip(panels, columns, strict=True)):
        bare(panel)
        panel.axvspan(_moment(marked[0]), _moment(marked[1]), color=ALARM, alpha=0.25, linewidth=0)
        panel.axhline(usual[place], color="black", linewidth=0.8, linestyle="--")
        panel.plot(moments, values[:, place], color=CANDIDATE, linewidth=0.8)
        panel.set_ylabel(f"{column.name}\n[{column.unit}]", fontsize=8)
        panel.tick_params(labelsize=7)
    panels[-1].set_xlabel("time [UTC]; dashed: the unit's median")
    panels[0].set_title(title, loc="left", fontsize=10)
    made.autofmt_xdate()
    return png(made)
