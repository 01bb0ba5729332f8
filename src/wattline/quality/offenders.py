"""Which rows are taken out instead of refusing all, and why."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattline.quality import expectations, rules
from wattline.quality.outcome import Outcome
from wattline.quality.telemetry import Rows
from wattline.records import Dataset, Finding, Quarantine

if TYPE_CHECKING:
    import pandas

Reasons = Mapping[str, Mapping[int, str]]
"""Unit -> place of a row in its file -> why it is taken out."""

RULE = "wattline_quarantine"
ORDER = "its timestamp is not in order among the rows that are left"


def names_rows(outcome: Outcome) -> bool:
    """Whether an unmet critical expectation says which rows are to blame."""
    return not outcome.passed and outcome.expectation.severity == "critical" and bool(outcome.rows)


def reasons(table: "pandas.DataFrame", outcomes: Sequence[Outcome]) -> Reasons:
    """Rows that `outcomes` blame, and those that are then out of order in their unit.

    table: `rows` of wattline.quality.tables
    outcomes: those of which `names_rows` is true
    """
    if not outcomes:
        return {}
    asked = [outcome.expectation for outcome in outcomes]
    found: dict[int, list[str]] = defaultdict(list)
    for outcome in expectations.evaluate(table, asked, first_rows=None):
        for row in outcome.rows:
            found[row].append(" ".join([outcome.expectation.rule, *outcome.columns]))
    rows = Rows(table, ())
    for row in _disordered(rows, found):
        found[row].append(ORDER)
    return _by_unit(rows, {row: "; ".join(why) for row, why in found.items()})


def _disordered(rows: Rows, taken: Mapping[int, object]) -> Iterator[int]:
    kept = np.ones(len(rows), dtype=bool)
    kept[list(taken)] = False
    for unit in rows.units:
        left = np.flatnonzero(kept[unit]) + unit.start
        yield from left[~in_order(rows.instants[left])].tolist()


def in_order(instants: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `instants` belong to the longest strictly increasing part of them (patience sorting)."""
    if (np.diff(instants) > 0).all():
        return np.ones(len(instants), dtype=bool)
    values = instants.tolist()
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        length = bisect_left(tails, value)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [value]
        ends[length : length + 1] = [place]
    kept = np.zeros(len(values), dtype=bool)
    place = ends[-1]
    while place >= 0:
        kept[place] = True
        place = before[place]
    return kept


def _by_unit(rows: Rows, found: Mapping[int, str]) -> Reasons:
    names = rows.table["unit"].cat.categories.to_numpy()[rows.table["unit"].cat.codes.to_numpy()[rows.starts]]
    grouped: dict[str, dict[int, str]] = defaultdict(dict)
    for row, why in found.items():
        unit = int(np.searchsorted(rows.starts, row, side="right")) - 1
        grouped[str(names[unit])][row - int(rows.starts[unit])] = why
    return grouped


def excess(taken: Quarantine, dataset: Dataset, *, maximum_share: float) -> list[Finding]:
    """One critical finding where more rows were taken out than may be, or a unit has too few left."""
    share = taken.rows / dataset.rows
    told = [
        f"unit {unit.name} has {unit.left:,} rows left, at least {rules.MINIMUM_ROWS} are needed"
        for unit in taken.units
        if unit.left < rules.MINIMUM_ROWS
    ]
    if share > maximum_share:
        told.insert(0, f"{share:.3%} of all rows were taken out, quarantine.maximum_share is {maximum_share:.3%}")
    if not told:
        return []
    told = told[:10]
    return [Finding(rule=RULE, column="", severity="critical", count=taken.rows, share=share, first_rows=tuple(told))]
