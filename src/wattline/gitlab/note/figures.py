"""Figures with units, and differences with their direction in words."""

import math

from wattline.records import Energy, Metric, Score

MINUS = "\u2212"
NONE = "\u2013"
"""Shown where there is no figure."""


def number(value: float, *, signed: bool = False) -> str:
    """Four significant digits; thousands are grouped."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:{'+' if signed else ''},.0f}" if 1000 <= abs(value) < 1e7 else f"{value:{'+' if signed else ''}.4g}"
    return text.replace("-", MINUS) if "e" not in text else text


def quantity(value: float, unit: str) -> str:
    """A figure with its unit; a pure number has none."""
    return number(value) if unit in ("", "1") or not math.isfinite(value) else f"{number(value)} {unit}"


def scored(score: Score | None, unit: str) -> str:
    """A score with its 95 % interval."""
    if score is None or not score.units:
        return NONE
    shown = f"{number(score.value)} [{number(score.low)}, {number(score.high)}]"
    return shown if unit in ("", "1") else f"{shown} {unit}"


def spent(energy: Energy | None) -> str:
    """Joules with their 95 % interval."""
    if energy is None:
        return NONE
    low, high = energy.interval
    return f"{number(energy.joules)} J [{number(low)}, {number(high)}]"


def direction(difference: Score, metric: Metric | None) -> str:
    """Whether a difference candidate - other with its interval is one for the better."""
    if not difference.units or not math.isfinite(difference.low) or not math.isfinite(difference.high):
        return "undefined"
    if difference.low <= 0 <= difference.high:
        return "no clear difference"
    return _word(difference.value, metric)


def turn(now: float, before: float, *, higher_is_better: bool | None) -> str:
    """Whether a figure became better, without an interval to say how surely."""
    if not (math.isfinite(now) and math.isfinite(before)):
        return "undefined"
    if now == before:
        return "the same"
    if higher_is_better is None:
        return "higher" if now > before else "lower"
    return "better" if (now > before) is higher_is_better else "worse"


def relative(now: float, before: float) -> str:
    """The change as a share of what was before."""
    if not (math.isfinite(now) and math.isfinite(before)) or before == 0:
        return NONE
    return f"{(now - before) / abs(before):+.1%}".replace("-", MINUS)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two intervals have a value in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def _word(value: float, metric: Metric | None) -> str:
    return turn(value, 0.0, higher_is_better=metric.higher_is_better if metric else None)
