"""Rules for telemetry that no library has: across the rows of a unit, across columns, and across units."""

from wattline.quality.telemetry.registry import PREFIX, built, columns_of, evaluate, prose
from wattline.quality.telemetry.rows import Rows

__all__ = ["PREFIX", "Rows", "built", "columns_of", "evaluate", "prose"]
