"""Rules about one sensor in the rows of a unit: it sticks, drops out, or counts backwards."""

import numpy as np
from pydantic import Field

from wattline.params import Section
from wattline.quality.telemetry.rows import Mask, Rows, filled, runs


class Stuck(Section):
    """A sensor must not show one value for `steps` rows or more while others move.

    A run of equal recorded values offends when in at least half of its steps another column changes. All its rows are
    named. Sensors of coarse resolution need more steps.
    """

    column: str
    steps: int = Field(default=60, ge=3)


def stuck(rows: Rows, rule: Stuck) -> Mask:
    begins, ends = runs(rows.same(rows.column(rule.column)))
    long = ends - begins >= rule.steps
    begins, ends = begins[long], ends[long]
    changes = np.append(0, np.cumsum(rows.moved))
    others = changes[ends] - changes[begins + 1]
    found = others >= (ends - begins - 1) / 2
    return filled(begins[found], ends[found], rows=len(rows))


class Dropout(Section):
    """A value must not be exactly 0 for up to `steps` rows between values of at least `least`.

    Collectors write 0 for what they could not read. The values before and after must be recorded in the same unit.
    """

    column: str
    least: float = Field(gt=0)
    steps: int = Field(default=3, ge=1)


def dropout(rows: Rows, rule: Dropout) -> Mask:
    values = rows.column(rule.column)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values == 0, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    inside = (begins > 0) & (ends < len(values)) & (ends - begins <= rule.steps)
    begins, ends = begins[inside], ends[inside]
    units = np.searchsorted(rows.starts, np.stack([begins - 1, ends]), side="right")
    high = np.minimum(values[begins - 1], values[ends]) >= rule.least  # False beside a missing value
    found = (units[0] == units[1]) & high
    return filled(begins[found], ends[found], rows=len(rows))


class Counter(Section):
    """A counter must not run backwards.

    The row at which it is lower than where it was last recorded in the unit offends: it was reset, and a difference
    taken across that row is wrong.
    """

    column: str


def counter(rows: Rows, rule: Counter) -> Mask:
    values, offending = rows.column(rule.column), rows.nothing()
    recorded = np.flatnonzero(~np.isnan(values))
    units = np.searchsorted(rows.starts, recorded, side="right")
    lower = (np.diff(values[recorded]) < 0) & (units[1:] == units[:-1])
    offending[recorded[1:][lower]] = True
    return offending
