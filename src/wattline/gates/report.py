"""A decision as lines that a person reads."""

from wattline.records import Decision, Verdict


def lines(decision: Decision) -> list[str]:
    """One line for each gate, e.g. "PASS    quality     vus_pr 0.61 >= 0.45: the worse bound of ..."."""
    return [_line(verdict, advisory=verdict.name in decision.advisory) for verdict in decision.verdicts]


def _line(verdict: Verdict, *, advisory: bool) -> str:
    note = " (advisory)" if advisory and not verdict.passed else ""
    return f"{verdict.outcome:<6}  {verdict.name:<10}  {verdict.reason}{note}"
