"""Pictures of what was found out, as PNG bytes that are equal for equal figures."""

from wattline.charts.canvas import ALARM, CANDIDATE, OTHER, png
from wattline.charts.energy import Cost, energy_test
from wattline.charts.evaluation import MAXIMUM_BARS, contenders, extremes, slices, timeline
from wattline.charts.latency import latency
from wattline.charts.monitoring import drift
from wattline.charts.moved import Moved, moved
from wattline.charts.pareto import pareto
from wattline.charts.sweep import history
from wattline.charts.telemetry import distributions, recorded, span
from wattline.charts.training import costs, curves

__all__ = [
    "ALARM",
    "CANDIDATE",
    "MAXIMUM_BARS",
    "OTHER",
    "Cost",
    "Moved",
    "contenders",
    "costs",
    "curves",
    "distributions",
    "drift",
    "energy_test",
    "extremes",
    "history",
    "latency",
    "moved",
    "pareto",
    "png",
    "recorded",
    "slices",
    "span",
    "timeline",
]
