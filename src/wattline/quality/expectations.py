"""Expectations on a table: those about telemetry by our own rules, all others by Great Expectations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wattline.quality import library, telemetry
from wattline.quality.outcome import Outcome
from wattline.quality.tables import ADDED
from wattline.task import Expectation

if TYPE_CHECKING:
    import pandas

IDENTITY = ("unit", "group", "timestamp")
"""Columns of which our own rules cannot say anything: they are no numbers."""


def check(expectations: Sequence[Expectation], *, columns: Sequence[str]) -> None:
    """Raise InputError naming an unknown rule, column or argument, with what comes near it.

    columns: of the table that the expectations will run on
    """
    values = [name for name in columns if name not in IDENTITY]
    for expectation in expectations:
        if expectation.rule.startswith(telemetry.PREFIX):
            library.check_columns(expectation.rule, telemetry.columns_of(expectation), values)
            telemetry.built(expectation)
        else:
            library.built(expectation, columns)


def evaluate(
    table: "pandas.DataFrame", expectations: Sequence[Expectation], *, first_rows: int | None
) -> list[Outcome]:
    """Run `expectations` on `table`; one outcome each, in their order.

    first_rows: how many positions of offending rows an outcome names; None names all
    """
    ours = {place for place, one in enumerate(expectations) if one.rule.startswith(telemetry.PREFIX)}
    theirs = [one for place, one in enumerate(expectations) if place not in ours]
    found = iter(library.evaluate(table, theirs, first_rows=first_rows))
    rows = telemetry.Rows(table, tuple(name for name in map(str, table.columns) if name not in ADDED))
    return [
        _by_rule(rows, one, first_rows=first_rows) if place in ours else next(found)
        for place, one in enumerate(expectations)
    ]


def _by_rule(rows: telemetry.Rows, expectation: Expectation, *, first_rows: int | None) -> Outcome:
    """Run one of our own rules."""
    columns, prose = telemetry.columns_of(expectation), telemetry.prose(expectation)
    offending = np.flatnonzero(telemetry.evaluate(rows, expectation))
    if not len(offending):
        return Outcome(expectation, columns, prose, True)
    share = len(offending) / len(rows.table)
    return Outcome(expectation, columns, prose, False, len(offending), share, tuple(offending[:first_rows].tolist()))
