"""Outcomes of expectations as findings: which rows, in words that a person can look up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wattline.quality.outcome import Outcome
from wattline.records import Finding

if TYPE_CHECKING:
    import pandas

LAYOUT_RULE = "expect_table_columns_to_match_ordered_list"


def finding(outcome: Outcome, table: "pandas.DataFrame", *, quarantined: bool = False) -> Finding:
    """What `outcome` found in `table`, with the first offending rows as "unit @ timestamp: value".

    Where no row is to blame, the observed value stands for them.
    quarantined: its rows are taken out
    """
    rows = tuple(_row(table, row, outcome.columns) for row in outcome.rows)
    return Finding(
        rule=outcome.expectation.rule,
        column=", ".join(outcome.columns),
        severity=outcome.expectation.severity,
        count=outcome.count,
        share=outcome.share,
        quarantined=quarantined,
        first_rows=rows or ((f"observed {outcome.observed}: {outcome.prose}",) if outcome.observed else ()),
    )


def layout_finding(differences: Sequence[tuple[str, str]], *, units: int, first_rows: int) -> Finding:
    """What is wrong with the columns of partitions.

    differences: pairs (unit, what is wrong)
    """
    return Finding(
        rule=LAYOUT_RULE,
        column="",
        severity="critical",
        count=len(differences),
        share=len(differences) / units,
        first_rows=tuple(f"{unit}: {difference}" for unit, difference in differences[:first_rows]),
    )


def _row(table: "pandas.DataFrame", row: int, columns: Sequence[str]) -> str:
    import pandas

    unit, timestamp = table["unit"].iloc[row], table["timestamp"].iloc[row]
    values = [_value(table[column].iloc[row]) for column in columns]
    text = values[0] if len(values) == 1 else ", ".join(map("=".join, zip(columns, values, strict=True)))
    instant = f"{timestamp.isoformat()}Z" if not pandas.isna(timestamp) else "no timestamp"
    return f"{unit} @ {instant}: {text}" if text else f"{unit} @ {instant}"


def _value(value: Any) -> str:
    import pandas

    if pandas.isna(value):
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) or hasattr(value, "dtype") else str(value)
