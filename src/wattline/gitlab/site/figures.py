"""Figures as a person reads them: with unit, interval, and whether they were measured or estimated."""

import math

from wattline.records import Energy, Score


def number(value: float) -> str:
    """Four significant digits, and thousands with commas."""
    if not math.isfinite(value):
        return "undefined"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def quantity(value: float, unit: str) -> str:
    """A figure with its unit; "1" is the unit of a figure without one."""
    return number(value) if unit == "1" or not math.isfinite(value) else f"{number(value)} {unit}"


def interval(low: float, high: float) -> str:
    return f"[{number(low)}, {number(high)}]"


def score(found: Score, unit: str = "1") -> str:
    """A score with its interval."""
    if not found.units:
        return "undefined"
    return f"{number(found.value)} {interval(found.low, found.high)}{'' if unit == '1' else f' {unit}'}"


def joules(energy: Energy) -> str:
    """An energy with its interval."""
    return f"{number(energy.joules)} J {interval(*energy.interval)}"
