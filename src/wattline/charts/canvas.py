"""What every picture is drawn on, and how it becomes bytes. The only place that knows matplotlib."""

import io
from typing import TYPE_CHECKING

from wattline.records import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CANDIDATE, OTHER, ALARM, GOOD = "#1b6ca8", "#9aa5b1", "#c8452f", "#2f7d4f"


def figure(*, height: float) -> "Figure":
    """An empty figure of 9 inches by `height`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=(9, height), dpi=110, layout="constrained")


def canvas(*, height: float) -> "tuple[Figure, Axes]":
    """A figure with one pair of axes."""
    made = figure(height=height)
    axes = made.add_subplot()
    bare(axes)
    return made, axes


def bare(axes: "Axes") -> None:
    """Leave only the axes that carry figures."""
    axes.spines[["top", "right"]].set_visible(False)


def label(metric: Metric) -> str:
    """Name, unit and direction of a metric."""
    direction = "higher" if metric.higher_is_better else "lower"
    return f"{metric.name} [{metric.unit}], {direction} is better"


def png(figure: "Figure") -> bytes:
    """The figure as PNG bytes, without the name and version of the library that drew it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
