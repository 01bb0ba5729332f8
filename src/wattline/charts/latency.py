"""Picture of how long answers take."""

from collections.abc import Mapping, Sequence

import numpy as np

from wattline.charts.canvas import canvas, png


def latency(values: Mapping[str, Sequence[float]], *, unit: str) -> bytes:
    """Distribution of single-window latencies of each contender."""
    figure, axes = canvas(height=2.8)
    for name, sample in values.items():
        ordered = np.sort(np.asarray(sample))
        axes.plot(ordered, np.linspace(0, 100, len(ordered)), label=name)
    axes.set_xscale("log")
    axes.set_xlabel(f"latency of one window [{unit}]")
    axes.set_ylabel("share of calls [%]")
    axes.legend()
    axes.set_title("Latency of single windows, one thread", loc="left")
    return png(figure)
