"""Rules about the values of one column, wherever they are: they are numbers, and not all the same."""

import numpy as np

from wattline.params import Section
from wattline.quality.telemetry.rows import Mask, Rows

LARGEST = float(np.finfo(np.float32).max)


class Finite(Section):
    """Values must be finite or missing."""

    column: str


def finite(rows: Rows, rule: Finite) -> Mask:
    return np.asarray(np.abs(rows.column(rule.column)) > LARGEST)


class Varies(Section):
    """A column should not be constant, or never recorded, across all units. If it is, every row offends."""

    column: str


def varies(rows: Rows, rule: Varies) -> Mask:
    values = rows.column(rule.column)
    constant = not len(values) or not np.fmin.reduce(values) < np.fmax.reduce(values)
    return np.full(len(rows), constant)
