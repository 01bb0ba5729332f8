"""Pictures of raw rows, as PNG bytes that are equal for equal rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline import charts
from wattline.quality.profile import boundary
from wattline.records import Column, Dataset
from wattline.task import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1b6ca8", "#d9822b", "#2f7d4f")
MAXIMUM_COLUMNS = 60
BUCKETS = 500


def shown_units(dataset: Dataset) -> list[str]:
    """Names of a few units, evenly spread over the dataset's order."""
    places = np.unique(np.linspace(0, len(dataset.units) - 1, len(COLOURS)).round().astype(int))
    return [dataset.units[place].name for place in places]


def overview(dataset: Dataset, shown: Sequence[Series]) -> bytes:
    """One row for each column: extremes of a few units over time, the later part and labelled anomalies shaded."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    columns = dataset.columns[:MAXIMUM_COLUMNS]
    figure = Figure(figsize=(12, 0.95 * len(columns) + 1.3), dpi=100, layout="constrained")
    grid = figure.subplots(len(columns), 1, sharex=True, squeeze=False)
    for place, (axes, column) in enumerate(zip(grid[:, 0], columns, strict=True)):
        for series, colour in zip(shown, COLOURS, strict=False):
            _shade(axes, dataset, series, colour)
            axes.plot(*_extremes(series, place), color=colour, linewidth=0.6, label=series.unit)
        _decorate(axes, column)
    grid[-1, 0].set_xlabel("time [UTC]")
    grid[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(COLOURS), fontsize=9, frameon=False)
    figure.suptitle(_title(dataset, shown), x=0.01, ha="left", fontsize=11)
    return charts.png(figure)


def _title(dataset: Dataset, shown: Sequence[Series]) -> str:
    total, drawn = len(dataset.columns), min(len(dataset.columns), MAXIMUM_COLUMNS)
    columns = f"{total} columns" if drawn == total else f"First {drawn} of {total} columns"
    later = "test part" if any(unit.test_start for unit in dataset.units) else "second half"
    labels = ", labelled anomalies in the unit's colour" if dataset.labelled else ""
    return f"{columns} of {len(shown)} of {len(dataset.units)} units of {dataset.name}; {later} grey{labels}"


def _decorate(axes: "Axes", column: Column) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel(f"{column.name}\n[{column.unit}]", rotation=0, ha="right", va="center", fontsize=9)
    axes.tick_params(labelsize=7)
    axes.margins(x=0)
    axes.xaxis_date()


def _shade(axes: "Axes", dataset: Dataset, series: Series, colour: str) -> None:
    later, end = _days(np.array([boundary(dataset, series), series.timestamps[-1]]))
    axes.axvspan(later, end, color="black", alpha=0.03, linewidth=0)
    # A line around each span keeps one of a single row visible.
    spans, height = _spans(series), (0.0, 1.0)
    axes.broken_barh(spans, height, transform=axes.get_xaxis_transform(), color=colour, alpha=0.25, linewidth=0.5)


def _spans(series: Series) -> list[tuple[float, float]]:
    """Begin and length [days] of each run of labelled rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], series.target == 1, [False]]).astype(np.int8)))
    days = _days(series.timestamps)
    return [(days[begin], days[end - 1] - days[begin]) for begin, end in edges.reshape(-1, 2)]


def _extremes(series: Series, column: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Smallest and largest value of each of BUCKETS stretches of rows, so that no spike is lost."""
    values = series.values[:, column]
    values = np.where(np.isfinite(values), values, np.nan)
    starts = np.unique(np.linspace(0, len(values), BUCKETS, endpoint=False).astype(int))
    pairs = np.stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)], axis=1)
    return np.repeat(_days(series.timestamps[starts]), 2), pairs.ravel()


def _days(timestamps: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Days since 1970, as matplotlib counts them."""
    return timestamps.astype("datetime64[us]").astype(np.int64) / 86_400e6
