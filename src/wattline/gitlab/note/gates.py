"""One line for each gate."""

from wattline.gitlab.note.escape import plain
from wattline.gitlab.note.figures import number
from wattline.gitlab.note.tables import table
from wattline.records import Decision, Verdict

SIGNS = {"PASS": "\u2705 PASS", "FAIL": "\u274c FAIL", "REFUSE": "\u26d4 REFUSE"}


def gates(decision: Decision) -> str:
    """A table: outcome, value, limit, unit and reason."""
    rows = [_row(verdict, advisory=verdict.name in decision.advisory) for verdict in decision.verdicts]
    head = ("Gate", "Outcome", "Value", "Limit", "Unit", "Why")
    return f"### Gates\n\n{table(head, rows, right=(2, 3))}"


def _row(verdict: Verdict, *, advisory: bool) -> tuple[str, ...]:
    return (
        plain(verdict.name),
        SIGNS[verdict.outcome] + (" (advice)" if advisory else ""),
        number(verdict.value) + (f" ({verdict.provenance})" if verdict.provenance != "computed" else ""),
        number(verdict.limit),
        plain(verdict.unit),
        plain(verdict.reason),
    )
