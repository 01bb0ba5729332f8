"""What notebooks/exploration.ipynb asks of one anomaly: where it is, and what moves in it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattline import charts, splits
from wattline.errors import InputError
from wattline.notebooks.show import Picture, Sentence
from wattline.notebooks.telemetry import Span, Survey, seconds
from wattline.records import Column

SPREAD_OF_NORMAL = 1.4826
"""Standard deviations in a median absolute deviation, where values are normal."""


@dataclass(frozen=True)
class Anomaly:
    """Where to look, and who says so.

    why: in words
    """

    unit: str
    span: Span
    why: str


def find(found: Survey, *, unit: str) -> Anomaly:
    """The longest labelled span of `unit`, of all units where it is ""; without labels, its most unusual row.

    Raises InputError for a unit that there is not.
    """
    names = [one.name for one in found.units]
    if unit and unit not in names:
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
        raise InputError(f"there is no unit {unit!r}; units: {shown}")
    candidates = [(span, one.name) for one in found.units if unit in ("", one.name) for span in one.anomalous]
    if candidates:
        span, name = max(candidates, key=lambda one: seconds(one[0]))
        return Anomaly(name, span, f"the longest of {len(candidates):,} labelled spans, {seconds(span):,.0f} s")
    name = unit or names[0]
    series = splits.read_raw(found.dataset, name)
    furthest = series.timestamps[int(np.argmax(np.nanmax(_deviations(series.values), axis=1, initial=0)))]
    return Anomaly(name, (furthest, furthest), "no row is labelled: the one furthest from the unit's median")


def _deviations(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance from the column's median, in robust standard deviations; 0 where that is not defined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = _medians(values)
        distance = np.abs(values - usual)
        spread = SPREAD_OF_NORMAL * _medians(distance)
        return np.nan_to_num(distance / spread, nan=0.0, posinf=0.0)


def _medians(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each column; NaN for one without a value."""
    known = [column[np.isfinite(column)].astype(np.float64) for column in values.T]
    return np.array([np.median(column) if len(column) else math.nan for column in known])


def around(found: Survey, where: Anomaly, *, shown: int, hours: float) -> Picture:
    """The columns that are furthest from their medians in the anomaly, from `hours` before to `hours` after it."""
    if shown < 1 or not hours > 0:
        raise InputError(f"shown must be >= 1 and hours > 0, got {shown} and {hours:g}")
    series = splits.read_raw(found.dataset, where.unit)
    margin = np.timedelta64(round(hours * 3600), "s")
    inside = (series.timestamps >= where.span[0]) & (series.timestamps <= where.span[1])
    near = (series.timestamps >= where.span[0] - margin) & (series.timestamps <= where.span[1] + margin)
    worst = np.argsort(-_deviations(series.values)[inside].mean(axis=0), kind="stable")[:shown]
    drawn: list[Column] = [found.dataset.columns[place] for place in worst]
    words = f"{where.unit}: {where.why}; the {len(drawn)} of {len(found.dataset.columns)} columns that move most"
    picture = charts.span(
        series.timestamps[near],
        series.values[near][:, worst],
        drawn,
        marked=where.span,
        usual=list(_medians(series.values)[worst]),
        title=words,
    )
    return Picture(picture, words)


def told(where: Anomaly) -> Sentence:
    """The anomaly in words."""
    start, end = (str(time.astype("datetime64[s]")).replace("T", " ") for time in where.span)
    return Sentence(f"{where.unit}, {start} to {end} UTC: {where.why}.")
