"""Figures of each unit by itself: a table on the page, and all of them as CSV."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from wattline.quality import page
from wattline.quality.profile import FIGURES, UnitProfile
from wattline.records import Dataset, UnitRows

SHOWN = 500
"""Units on the page; the CSV has all."""
HEADS = (
    ("unit", ""),
    ("group", ""),
    ("first row [UTC]", ""),
    ("last row [UTC]", ""),
    ("rows", "number"),
    ("absent rows", "number"),
    ("missing values", "number"),
    ("missing", "number"),
    ("never recorded", ""),
)


def render(dataset: Dataset, units: Sequence[UnitProfile]) -> str:
    """The table as HTML: those that lack most, where there are too many units for a page."""
    worst = sorted(units, key=lambda one: -_absence(dataset, one))[:SHOWN] if len(units) > SHOWN else units
    shown = f"the {SHOWN} of {len(units):,} units that lack most; " if len(units) > SHOWN else ""
    note = page.paragraph(
        f"Absent rows are those that the cadence promises; {shown}all figures of each unit: units.csv."
    )
    return (
        note + '\n<p><a href="units.csv">units.csv</a></p>\n' + page.table(HEADS, (_row(dataset, one) for one in worst))
    )


def csv(dataset: Dataset, units: Sequence[UnitProfile]) -> str:
    """One line for each unit and column; empty figures where a column was never recorded."""
    lines = [",".join(("unit", "column", "unit_of_measure", "rows", "values", "missing", *FIGURES))]
    for one in units:
        for place, column in enumerate(dataset.columns):
            figures = ("" if math.isnan(value) else repr(float(value)) for value in one.figures[place])
            counts = (one.unit.rows, int(one.values[place]), int(one.missing[place]))
            names = (one.unit.name, column.name, _quoted(column.unit))
            lines.append(",".join((*names, *map(str, counts), *figures)))
    return "\n".join(lines) + "\n"


def absent_rows(dataset: Dataset, unit: UnitRows) -> int:
    """Rows that the cadence promises between the first and the last one, and that are not there."""
    promised = 1 + round((unit.end - unit.start).total_seconds() / dataset.cadence_seconds)
    return max(0, promised - unit.rows)


def _absence(dataset: Dataset, one: UnitProfile) -> float:
    """Share of all values that are not there."""
    absent = absent_rows(dataset, one.unit) * len(dataset.columns) + int(one.missing.sum())
    return absent / (absent + int(one.values.sum()) or 1)


def _row(dataset: Dataset, one: UnitProfile) -> Sequence[str]:
    missing = int(one.missing.sum())
    return (
        escape(one.unit.name),
        escape(one.unit.group),
        f"{one.unit.start:%Y-%m-%d %H:%M:%S}",
        f"{one.unit.end:%Y-%m-%d %H:%M:%S}",
        f"{one.unit.rows:,}",
        f"{absent_rows(dataset, one.unit):,}",
        f"{missing:,}",
        f"{missing / (one.unit.rows * len(dataset.columns)):.2%}",
        ", ".join(_never(dataset, one)),
    )


def _never(dataset: Dataset, one: UnitProfile) -> Iterator[str]:
    return (escape(column.name) for column, values in zip(dataset.columns, one.values, strict=True) if not values)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
