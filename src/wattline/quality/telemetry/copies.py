"""Rules about rows that were seen before: sent again by the same unit, or somebody else's."""

import numpy as np
from pydantic import Field

from wattline.params import Section
from wattline.quality.telemetry.rows import Floats, Mask, Rows, filled, runs

ENOUGH = 20
"""Equal rows below which two units may well have been equal by chance."""
MIXER = 0x2545F4914F6CDD1D
"""An odd number that spreads instants over all bits: of unequal pairs of print and instant, hardly two are alike."""


class Repeated(Section):
    """A whole row must not be that of before for `steps` rows or more: a collector that sends its last message again.

    All rows but the first offend. Rows of which nothing is recorded do not count, nor do units that hardly ever change
    (in less than a tenth of their rows).
    """

    steps: int = Field(default=30, ge=3)


def repeated(rows: Rows, rule: Repeated) -> Mask:
    if not len(rows):
        return rows.nothing()
    begins, ends = runs(rows.same(rows.prints) & rows.recorded)
    long = ends - begins >= rule.steps
    lively = np.add.reduceat(rows.moved.astype(np.int64), rows.starts) >= rows.sizes / 10
    return filled(begins[long] + 1, ends[long], rows=len(rows)) & rows.of_units(lively)


class Copied(Section):
    """No unit may have the rows of another.

    share: of the rows in which a unit changes, how many may be equal to one other unit's row at the same instant, value
        for value

    Of two such units the later one offends as a whole.
    """

    share: float = Field(default=0.5, gt=0, le=1)


def copied(rows: Rows, rule: Copied) -> Mask:
    if not len(rows):
        return rows.nothing()
    places = np.flatnonzero(rows.moved & rows.recorded)
    owners = np.searchsorted(rows.starts, places, side="right") - 1
    keys = rows.prints[places].view(np.int64) ^ (rows.instants[places] * MIXER)
    order = np.argsort(keys, kind="stable")  # of equal ones, the earlier unit comes first
    same = np.diff(keys[order]) == 0
    earlier, later = owners[order][:-1][same], owners[order][1:][same]
    count = len(rows.starts)
    pairs, equal = np.unique(earlier * count + later, return_counts=True)
    changes = np.bincount(owners, minlength=count)
    others = pairs // count != pairs % count
    most: Floats = np.zeros(count)
    np.maximum.at(most, pairs[others] % count, equal[others])
    return rows.of_units((most >= ENOUGH) & (most > rule.share * changes))
